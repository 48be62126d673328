//! Results of an experiment as tables and a plot for a terminal.

use serde_json::Value;

use leadstream::domain::experiment::analysis::business::WEEKS_PER_YEAR;

/// Characters on each side of 0 in a plot.
const SIDE: usize = 30;

/// Relative effects beyond this are drawn at the edge of a plot.
const EFFECT_MAX: f64 = 1.0;

/// Looks in a plot.
const LOOKS_SHOWN: usize = 24;

pub(crate) fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |share| format!("{:+.1} %", share * 100.0))
}

pub(crate) fn comparisons(results: &Value) -> Vec<Vec<String>> {
    let heads = [
        "metric",
        "role",
        "arm",
        "control",
        "arm's",
        "effect",
        "from",
        "to",
        "at worst",
        "chance to win",
        "exact p",
        "bounds",
    ];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for reported in results["comparisons"].as_array().into_iter().flatten() {
        let text = |field: &str| reported[field].as_str().unwrap_or_default().to_owned();
        let mean = |field: &str| {
            reported[field].as_f64().map_or_else(|| "-".to_owned(), |mean| format!("{mean:.4}"))
        };
        let chance = reported["chance_to_win"]
            .as_f64()
            .map_or_else(|| "-".to_owned(), |chance| format!("{chance:.3}"));
        let exact = reported["exact_p_value"]
            .as_f64()
            .map_or_else(|| "-".to_owned(), |p| format!("{p:.4}"));
        let bounds = if reported["meets_minimum_sample"] == true { "hold" } else { "too early" };
        rows.push(vec![
            text("metric"),
            text("role"),
            text("arm"),
            mean("control_mean"),
            mean("mean"),
            percent(&reported["lift"]),
            percent(&reported["lift_lower"]),
            percent(&reported["lift_upper"]),
            percent(&reported["one_sided_lower"]),
            chance,
            exact,
            bounds.to_owned(),
        ]);
    }
    rows
}

/// What a covariate and strata do to the goal of each arm.
pub(crate) fn adjusted(results: &Value) -> Vec<String> {
    let all = || results["comparisons"].as_array().into_iter().flatten();
    let number = |reported: &Value, field: &str| {
        reported[field].as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:+.4}"))
    };
    let covariate = |reported: &Value| {
        format!(
            "{} of {} is adjusted by the covariate, which removes {} of the variance; without it \
                the effect is {}. At one planned look the \
             adjusted difference is from {} to {}, p-value {:.4}",
            reported["metric"].as_str().unwrap_or_default(),
            reported["arm"].as_str().unwrap_or_default(),
            percent(&reported["variance_removed"]).trim_start_matches('+'),
            percent(&reported["unadjusted_lift"]),
            number(reported, "adjusted_lower"),
            number(reported, "adjusted_upper"),
            reported["adjusted_p_value"].as_f64().unwrap_or(1.0),
        )
    };
    let strata = |reported: &Value| {
        format!(
            "{} of {} within strata, at one planned look: difference {}, from {} to {}, p-value \
                {:.4}",
            reported["metric"].as_str().unwrap_or_default(),
            reported["arm"].as_str().unwrap_or_default(),
            number(reported, "stratified_difference"),
            number(reported, "stratified_lower"),
            number(reported, "stratified_upper"),
            reported["stratified_p_value"].as_f64().unwrap_or(1.0),
        )
    };
    let of_covariate =
        all().filter(|reported| !reported["variance_removed"].is_null()).map(covariate);
    of_covariate
        .chain(all().filter(|reported| !reported["stratified_difference"].is_null()).map(strata))
        .collect()
}

/// What always giving an arm of a bandit is worth.
pub(crate) fn arm_values(results: &Value) -> Vec<Vec<String>> {
    let mut rows =
        vec![["arm", "effective leads", "mean", "from", "to"].map(str::to_owned).to_vec()];
    for reported in results["arm_values"].as_array().into_iter().flatten() {
        let mean = |field: &str| {
            reported[field]
                .as_f64()
                .map_or_else(|| "not yet known".to_owned(), |mean| format!("{mean:.4}"))
        };
        let leads = format!("{:.0}", reported["effective_units"].as_f64().unwrap_or(0.0));
        rows.push(vec![
            reported["arm"].as_str().unwrap_or_default().to_owned(),
            leads,
            mean("mean"),
            mean("mean_lower"),
            mean("mean_upper"),
        ]);
    }
    rows
}

/// What arms are worth in conversions, appointments or money; what may not be acted on is not yet
/// known.
pub(crate) fn worth(results: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![
        ["metric", "arm", "a week", "from", "to", "a year, from", "to"].map(str::to_owned).to_vec(),
    ];
    for reported in results["comparisons"].as_array().into_iter().flatten() {
        let cell = |field: &str, weeks: f64| {
            reported[field].as_f64().map_or_else(
                || "not yet known".to_owned(),
                |worth| format!("{:+.1}", worth * weeks),
            )
        };
        let text = |field: &str| reported[field].as_str().unwrap_or_default().to_owned();
        let (week, year) = (1.0, WEEKS_PER_YEAR);
        let mut row = vec![text("metric"), text("arm"), cell("weekly", week)];
        let bounds = [
            ("weekly_lower", week),
            ("weekly_upper", week),
            ("weekly_lower", year),
            ("weekly_upper", year),
        ];
        row.extend(bounds.map(|(field, weeks)| cell(field, weeks)));
        rows.push(row);
    }
    rows
}

/// What arms with costs are worth in the tenant's currency, and when what they cost once has come
/// back.
pub(crate) fn money(results: &Value) -> Vec<Vec<String>> {
    let heads = [
        "metric",
        "arm",
        "a conversion",
        "cost once",
        "cost a week",
        "net a week",
        "from",
        "to",
        "net first year",
        "from",
        "to",
        "paid back, weeks",
        "from",
        "to",
    ];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for reported in results["net_benefits"].as_array().into_iter().flatten() {
        let text = |field: &str| reported[field].as_str().unwrap_or_default().to_owned();
        let or = |value: Option<String>, without: &str| value.unwrap_or_else(|| without.to_owned());
        let ones = |field: &str| {
            reported[field].as_i64().map(|minor| format!("{:.2}", minor as f64 / 100.0))
        };
        let net = |field: &str| or(ones(field), "not yet known");
        let is_known = reported["weekly_minor"].is_i64();
        let weeks = |field: &str| {
            let without = if is_known { "never" } else { "not yet known" };
            or(reported[field].as_f64().map(|weeks| format!("{weeks:.1}")), without)
        };
        let mut row = vec![
            text("metric"),
            text("arm"),
            or(ones("conversion_minor"), "-"),
            net("cost_once_minor"),
            net("cost_weekly_minor"),
        ];
        row.extend(["weekly_minor", "weekly_lower_minor", "weekly_upper_minor"].map(net));
        row.extend(
            ["first_year_minor", "first_year_lower_minor", "first_year_upper_minor"].map(net),
        );
        row.extend(["payback_weeks", "payback_soonest_weeks", "payback_latest_weeks"].map(weeks));
        rows.push(row);
    }
    rows
}

/// One line per look: the bounds as a bar, the estimate as `o`, no effect as `|`. Of many looks
/// some are left out, never the last.
pub(crate) fn plot(looks: &[Value]) -> Vec<String> {
    let step = looks.len().div_ceil(LOOKS_SHOWN).max(1);
    let shown: Vec<&Value> = looks.iter().rev().step_by(step).collect();
    let bounds = |look: &Value| {
        [
            look["lift_lower"].as_f64().unwrap_or(-1.0),
            look["lift_upper"].as_f64().unwrap_or(f64::INFINITY),
        ]
    };
    let Some(last) = shown.first() else { return Vec::new() };
    // The scale is that of the newest bounds, twice: what was wider before runs off the edge.
    let widest = bounds(last)
        .map(f64::abs)
        .into_iter()
        .filter(|bound| bound.is_finite())
        .fold(0.0, f64::max);
    let scale = (2.0 * widest).clamp(0.01, EFFECT_MAX);
    let place = |effect: f64| {
        ((effect / scale).clamp(-1.0, 1.0) * SIDE as f64).round() as i64 + SIDE as i64
    };
    let line = |look: &&Value| {
        let ([lower, upper], estimate) =
            (bounds(look).map(place), place(look["lift"].as_f64().unwrap_or(0.0)));
        let mark = |at: i64| match at {
            at if at == estimate => 'o',
            at if at == SIDE as i64 => '|',
            at if (lower..=upper).contains(&at) => '=',
            _ => ' ',
        };
        let bar: String = (0..=2 * SIDE as i64).map(mark).collect();
        let arm = look["arm"].as_str().unwrap_or_default();
        format!(
            "{}  {:>8} units  {bar}  {arm}",
            date(look["at"].as_i64().unwrap_or(0)),
            look["units"].as_i64().unwrap_or(0)
        )
        .trim_end()
        .to_owned()
    };
    let edge = format!("{:.0} %", scale * 100.0);
    let heading =
        format!("{:27}-{edge:<width$}0{:>width$}", "", format!("+{edge}"), width = SIDE - 1);
    std::iter::once(heading).chain(shown.iter().rev().map(line)).collect()
}

pub(crate) fn date(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at)
        .map_or_else(|_| at.to_string(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// Counts by arm.
pub(crate) fn arms(reported: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![
        ["arm", "units", "uses", "replies", "appointments", "conversions", "losses"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let fields = ["exposed_units", "exposures", "replies", "appointments", "conversions", "losses"];
    for arm in reported["arms"].as_array().into_iter().flatten() {
        let cells = fields.iter().map(|field| arm[*field].to_string());
        rows.push(
            std::iter::once(arm["arm"].as_str().unwrap_or_default().to_owned())
                .chain(cells)
                .collect(),
        );
    }
    rows
}

/// The numbers of each segment.
pub(crate) fn segment_rows(segments: &[&Value]) -> Vec<Vec<String>> {
    let text =
        |reported: &Value, field: &str| reported[field].as_str().unwrap_or_default().to_owned();
    let mut rows = vec![
        [
            "in",
            "arm",
            "leads",
            "of control",
            "outcomes",
            "of control",
            "lift",
            "from",
            "to",
            "bounds",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for reported in segments {
        let counts = ["units", "control_units", "outcomes", "control_outcomes"]
            .map(|field| reported[field].to_string());
        let bounds = if reported["meets_minimum_sample"] == true { "hold" } else { "too early" };
        let lifts = ["lift", "lift_lower", "lift_upper"].map(|field| percent(&reported[field]));
        let heads = [text(reported, "stratum"), text(reported, "arm")];
        rows.push(
            heads.into_iter().chain(counts).chain(lifts).chain([bounds.to_owned()]).collect(),
        );
    }
    rows
}

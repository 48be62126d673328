//! Experiments through the pipeline: what is counted, concluded and done, whatever the order and
//! partitioning of the events.

mod agents;
mod arms;
mod attribution;
mod bandit;
mod by_agent;
mod costs;
mod covariate;
mod segments;
mod multi_exposed;
mod strata;
mod switchback;
mod times;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use leadstream::codec::definition::{conclusion, from_json};
use leadstream::codec::{model, results};
use leadstream::domain::event::{EventType, Interaction, Opportunity};
use leadstream::domain::experiment::analysis::verdicts::Verdict;
use leadstream::domain::experiment::{Experiment, ExperimentKey, Exposure, Metrics};
use leadstream::domain::hash::murmur3;
use leadstream::domain::lexicon::Lexicon;
use leadstream::domain::rules::{Body, Rules};
use leadstream::domain::strategy::{Source, Strategy};
use leadstream::domain::units::{
    AppendTime, DAY_MS, EventId, EventTime, HOUR_MS, LeadKey, MINUTE_MS, Partition, Tenant,
};
use leadstream::pipeline::{Conclusion, Effect, Input, Key, Memory, Row};
use leadstream::stats::random::Random;
use leadstream::stats::simulation::Limit;

const START: i64 = 1_767_225_600_000;
const DAYS: i64 = 20;

fn body() -> Value {
    json!({
        "unit": "lead",
        "salt": "1",
        "arms": [{"strategy": "empathetic", "weight": 1}, {"strategy": "assertive", "weight": 1}],
        "window_hours": 72,
        "goal": {"metric": "conversion_rate"},
        "guardrails": [{"metric": "reply_rate", "margin": 0.3}],
        "metrics": [{"metric": "appointment_rate", "window_hours": 48}, {"metric": "revenue", "cap": 20_000}],
        "planned_units": 4_000,
        "decisions": {"act": "automatic"},
    })
}

/// The body with other fields.
fn with(more: &[(&str, Value)]) -> Value {
    let mut body = body();
    more.iter().for_each(|(field, value)| body[field] = value.clone());
    body
}

fn reported(version: u32, day: i64, body: &Value) -> String {
    let at = START + day * DAY_MS;
    let at = midnight(at);
    json!({"tenant": "acme", "kind": "experiment", "name": "tone", "version": version, "effective_at": at, "body": body}).to_string()
}

fn midnight(at: i64) -> String {
    let days = at.div_euclid(DAY_MS) - START / DAY_MS;
    assert!((0..31).contains(&days) && at % DAY_MS == 0, "a day of January 2026");
    format!("2026-01-{:02}T00:00:00Z", days + 1)
}

fn none() -> Rules {
    static RULES: LazyLock<Rules> =
        LazyLock::new(|| Rules::new(Arc::new(model::starting()), Arc::new(Lexicon::english())));
    RULES.clone()
}

fn define(rules: &mut Rules, text: &str) -> Result<(), String> {
    let (definition, body) = from_json(text.as_bytes()).map_err(|error| error.to_string())?;
    rules.define(&definition, body).map_err(|error| error.to_string())
}

/// Definitions that cannot be used, with what is said of each.
fn each_is_refused(cases: &[(String, &str)]) {
    for (text, names) in cases {
        let refused = define(&mut none(), text).expect_err(text);
        assert!(refused.contains(names), "{refused}: {text}");
    }
}

fn rules(body: &Value) -> Rules {
    let mut rules = none();
    define(&mut rules, &reported(1, 0, body)).unwrap();
    rules
}

fn experiment(body: &Value) -> Experiment {
    match from_json(reported(1, 0, body).as_bytes()).unwrap().1 {
        Body::Experiment(experiment) => experiment,
        other => panic!("{other:?}"),
    }
}

fn event(lead: &str, at: i64, kind: EventType) -> Interaction {
    let text = format!("{lead}/{at}/{}", kind.as_str());
    Interaction {
        event_id: EventId::named(&text),
        kind,
        key: LeadKey::new(Tenant::new("acme").unwrap(), lead).unwrap(),
        occurred_at: EventTime(at),
        received_at: EventTime(at),
        source_system: "crm".to_owned(),
        source_event_type: None,
        source_delivery_id: None,
        channel: None,
        direction: None,
        agent_id: None,
        conversation_id: None,
        session_id: None,
        campaign: None,
        opportunity: None,
        listing: None,
        content: None,
        consent: BTreeMap::new(),
        measures: BTreeMap::new(),
        attributes: BTreeMap::new(),
    }
}

fn says(lead: &str, at: i64) -> Interaction {
    let content = Some(leadstream::domain::event::Content {
        text: Some("hi".to_owned()),
        ..Default::default()
    });
    Interaction { content, ..event(lead, at, EventType::MessageReceived) }
}

fn won(lead: &str, at: i64, value_minor: i64) -> Interaction {
    let opportunity =
        Some(Opportunity { value_minor: Some(value_minor), ..Opportunity::default() });
    Interaction { opportunity, ..event(lead, at, EventType::LeadConverted) }
}

fn input(event: Interaction) -> Input {
    let appended = AppendTime(event.occurred_at.0);
    Input::Interaction { event: Box::new(event), appended }
}

/// How leads of one arm behave.
#[derive(Clone, Copy)]
struct Arm {
    converts: f64,
    replies: f64,
    books: f64,
}

const USUAL: Arm = Arm { converts: 0.1, replies: 0.5, books: 0.2 };

/// A market of leads that come in evenly over some days, each asking once; what follows depends on
/// the arm.
fn market(
    seed: u64,
    leads: usize,
    experiment: &Experiment,
    arm: impl Fn(&str) -> Arm,
) -> Vec<Interaction> {
    let mut random = Random::new(seed, 7);
    let mut events = Vec::new();
    for number in 0..leads {
        let lead = format!("s{seed}-{number}");
        let at = START + MINUTE_MS + number as i64 * (DAYS * DAY_MS) / leads as i64;
        let given = experiment.assign(&lead).map_or(USUAL, |given| arm(&given.arm));
        let mut later = |hours: f64| at + (random.between(0.1, hours) * HOUR_MS as f64) as i64;
        let times = [later(60.0), later(40.0), later(70.0)];
        events.push(says(&lead, at));
        if random.chance(given.replies) {
            events.push(says(&lead, times[0]));
        }
        if random.chance(given.books) {
            events.push(event(&lead, times[1], EventType::AppointmentBooked));
        }
        if random.chance(given.converts) {
            events.push(won(&lead, times[2], 100_000 + random.below(3_000_000) as i64));
        }
    }
    // The clock of the tenant goes on until every window has passed.
    events.push(says(&format!("s{seed}-0"), START + (DAYS + 6) * DAY_MS));
    events.sort_by_key(|event| (event.occurred_at, event.event_id));
    events
}

fn key() -> ExperimentKey {
    ExperimentKey { tenant: Tenant::new("acme").unwrap(), name: "tone".into(), version: 1 }
}

/// What each partition counted, sent to one of them, with everything that followed.
struct Ran {
    partitions: Vec<Memory>,
    effects: Vec<Effect>,
    trial: Memory,
}

impl Ran {
    fn new(partitions: usize) -> Self {
        Self {
            partitions: vec![Memory::default(); partitions],
            effects: Vec::new(),
            trial: Memory::default(),
        }
    }

    fn take(&mut self, rules: &Rules, events: impl IntoIterator<Item = Interaction>) {
        for event in events {
            let index = murmur3(event.key.as_str().as_bytes(), 0) as usize % self.partitions.len();
            self.partitions[index].run(rules, &input(event), &mut self.effects);
        }
    }

    /// Reports of all partitions, in an order that the seed decides; what they come to.
    fn report(&mut self, rules: &Rules, seed: u64) -> Vec<Effect> {
        self.report_of(rules, &key(), seed)
    }

    fn report_of(&mut self, rules: &Rules, key: &ExperimentKey, seed: u64) -> Vec<Effect> {
        let mut random = Random::new(seed, 3);
        let mut reports = Vec::new();
        for (index, memory) in self.partitions.iter().enumerate() {
            let row =
                |wanted: Key| memory.rows().find(|(key, _)| *key == wanted).map(|(_, row)| row);
            let Some(tally) = row(Key::Tally(key.clone())).and_then(Row::into_tally) else {
                continue;
            };
            let at = row(Key::Clock(key.tenant.clone())).and_then(Row::into_clock).unwrap().at;
            reports.push(Input::PartitionReport {
                experiment: key.clone(),
                source: Partition(index as u32),
                at,
                tally,
            });
        }
        let mut effects = Vec::new();
        while !reports.is_empty() {
            let report = reports.swap_remove(random.below(reports.len()));
            self.trial.run(rules, &report, &mut effects);
        }
        effects
    }
}

fn measured(effects: &[Effect]) -> &Metrics {
    let last = effects.iter().rev().find_map(|effect| {
        if let Effect::ExperimentMetrics(metrics) = effect { Some(metrics) } else { None }
    });
    last.expect("something was counted")
}

fn concluded(effects: &[Effect]) -> Option<&Conclusion> {
    effects.iter().find_map(|effect| {
        if let Effect::Conclusion(conclusion) = effect { Some(conclusion.as_ref()) } else { None }
    })
}

fn exposures(effects: &[Effect]) -> Vec<&Exposure> {
    fn exposure(effect: &Effect) -> Option<&Exposure> {
        if let Effect::Exposure(exposure) = effect { Some(exposure.as_ref()) } else { None }
    }
    effects.iter().filter_map(exposure).collect()
}

fn bytes(effects: &[Effect]) -> Vec<u8> {
    results::metrics_record(measured(effects)).1
}

/// What events come to, after it was seen that duplicates, any order within lateness and any
/// partitioning give the same bytes.
fn same_in_any_order(rules: &Rules, events: &[Interaction], key: &ExperimentKey) -> Metrics {
    let mut plain = Ran::new(1);
    plain.take(rules, events.to_vec());
    let effects = plain.report_of(rules, key, 0);
    let expected = bytes(&effects);
    let metrics = measured(&effects).clone();
    for (partitions, seed) in [(1, 1), (4, 2), (12, 3), (4, 4), (12, 5)] {
        let mut random = Random::new(seed, 0);
        // Each event is up to ten hours late, so that a lead's own come in another order, and one
        // in four comes twice.
        let mut late: Vec<(i64, Interaction)> = Vec::new();
        for event in events {
            let last = event.occurred_at.0 >= START + (DAYS + 6) * DAY_MS;
            for _ in 0..1 + usize::from(random.is_once_in(4)) {
                let delay = if last { 0 } else { (random.unit() * 10.0 * HOUR_MS as f64) as i64 };
                late.push((event.occurred_at.0 + delay, event.clone()));
            }
        }
        late.sort_by_key(|(at, _)| *at);
        assert!(
            late.windows(2).any(|pair| pair[0].1.key == pair[1].1.key
                || pair[0].1.occurred_at > pair[1].1.occurred_at)
        );
        let mut ran = Ran::new(partitions);
        // Reports in between, as a running instance sends them, change nothing in the end.
        let half = late.len() / 2;
        let rest = late.split_off(half);
        ran.take(rules, late.into_iter().map(|(_, event)| event));
        ran.report_of(rules, key, seed);
        ran.take(rules, rest.into_iter().map(|(_, event)| event));
        let effects = ran.report_of(rules, key, seed);
        let other = measured(&effects);
        assert_eq!(
            (other.at, &other.tally),
            (metrics.at, &metrics.tally),
            "{partitions} partitions, seed {seed}"
        );
        assert!(bytes(&effects) == expected, "{partitions} partitions, seed {seed}");
    }
    metrics
}

#[test]
fn metrics_are_the_same_bytes_after_duplicates_any_order_within_lateness_and_any_partitioning() {
    let (rules, own) = (rules(&body()), experiment(&body()));
    let events = market(1, 600, &own, |_| Arm { converts: 0.3, replies: 0.5, books: 0.3 });
    let metrics = same_in_any_order(&rules, &events, &key());
    let report = metrics.report.as_ref().unwrap();
    assert_eq!((report.units, report.waiting), (600, 0));
    assert!(report.comparisons.iter().all(
        |(comparison, _)| comparison.outcomes.control > 0 && comparison.outcomes.treatment > 0
    ));
}

#[test]
fn a_unit_counts_what_falls_into_its_window_once_and_only_after_it() {
    let rules = rules(&body());
    let mut ran = Ran::new(1);
    let at = START + HOUR_MS;
    ran.take(
        &rules,
        [
            says("a", at),
            says("a", at + HOUR_MS),
            event("a", at + 49 * HOUR_MS, EventType::AppointmentBooked),
            won("a", at + 50 * HOUR_MS, 5_000_000),
            won("a", at + 51 * HOUR_MS, 5_000_000),
            says("a", at + 73 * HOUR_MS),
            says("b", at),
            won("b", at + 73 * HOUR_MS, 100),
        ],
    );
    let metrics = measured(&ran.report(&rules, 0)).clone();
    let report = metrics.report.unwrap();
    assert_eq!(report.units_per_week(), None);
    assert_eq!(
        (report.units, report.waiting),
        (0, 2),
        "a day is looked at a day after its last window"
    );
    // Nothing is counted any more, but days pass.
    ran.take(&rules, [event("other", at + 7 * DAY_MS, EventType::PageViewed)]);
    let metrics = measured(&ran.report(&rules, 0)).clone();
    assert_eq!(metrics.report.unwrap().units, 2);
    let groups: Vec<_> = metrics.tally.cohorts.values().flat_map(|arms| arms.values()).collect();
    let sum = |index: usize| groups.iter().map(|group| group.cells[index].sum).sum::<i128>();
    // Goal, reply, an appointment after its own shorter window, and revenue up to the cap.
    assert_eq!([sum(0), sum(1), sum(2), sum(3)], [1_000_000, 1_000_000, 0, 20_000_000_000]);
    let counts = metrics.tally.arms.values().fold([0; 4], |sum, arm| {
        [
            sum[0] + arm.exposed_units,
            sum[1] + arm.replies,
            sum[2] + arm.appointments,
            sum[3] + arm.conversions,
        ]
    });
    assert_eq!(counts, [2, 1, 1, 1]);
}

#[test]
fn a_better_arm_is_promoted_through_the_log_and_becomes_the_default_policy() {
    let (rules, own) = (rules(&body()), experiment(&body()));
    let better =
        |arm: &str| if arm == "assertive" { Arm { converts: 0.2, ..USUAL } } else { USUAL };
    let mut ran = Ran::new(2);
    ran.take(&rules, market(2, 4_000, &own, better));
    let effects = ran.report(&rules, 0);
    let report = measured(&effects).report.clone().unwrap();
    assert_eq!(report.decision.verdict, Verdict::Promote("assertive".to_owned()), "{report:#?}");
    // Two hundred leads a day: a tenth more of them a week is worth some 140 conversions.
    let (goal, _) = &report.comparisons[0];
    let worth = report.worth(goal).unwrap();
    assert!(
        (report.units_per_week().unwrap() - 1_400.0).abs() < 1.0
            && (100.0..180.0).contains(&worth.estimate),
        "{worth:?}"
    );
    assert!(worth.interval.lower > 0.0 && worth.interval.contains(140.0));
    assert!(report.days >= 7 && report.looks.last().unwrap().interval.lower > 0.0);
    let definition = conclusion(concluded(&effects).unwrap());
    let mut after = rules.clone();
    let body = leadstream::codec::definition::body_of(&definition).unwrap();
    after.define(&definition, body).unwrap();
    // Concluded once: the next report says so no more.
    ran.take(&after, [says("z", START + (DAYS + 9) * DAY_MS)]);
    assert!(concluded(&ran.report(&after, 1)).is_none());
    // Everybody gets it now, from that event time on, and nobody is exposed.
    let choice = |at: i64| {
        let mut effects = Vec::new();
        Memory::default().run(&after, &input(says("new", at)), &mut effects);
        let choice = effects.iter().find_map(|effect| match effect {
            Effect::Prediction(prediction) => Some(prediction.choice.clone()),
            _ => None,
        });
        (choice.unwrap(), exposures(&effects).len())
    };
    let (choice_after, exposed) = choice(definition.effective_at.0);
    assert_eq!(
        (choice_after.strategy, choice_after.source, exposed),
        (Strategy::Assertive, Source::Policy, 0)
    );
    assert!(
        choice_after.reason.starts_with("experiment tone: promote, conversion_rate rose by"),
        "{}",
        choice_after.reason
    );
    assert_eq!(choice(definition.effective_at.0 - 1).1, 1);
}

#[test]
fn an_arm_that_is_worse_is_rolled_back_and_what_stays_open_is_never_shipped() {
    let own = experiment(&body());
    let decide = |seed, body: &Value, arm: &dyn Fn(&str) -> Arm| {
        let rules = rules(body);
        let mut ran = Ran::new(1);
        ran.take(&rules, market(seed, 4_000, &own, arm));
        let effects = ran.report(&rules, 0);
        let concluded = concluded(&effects).map(|conclusion| conclusion.policy.strategy.is_some());
        (measured(&effects).report.clone().unwrap(), concluded)
    };
    let silent = |arm: &str| if arm == "assertive" { Arm { replies: 0.3, ..USUAL } } else { USUAL };
    let (report, ships) = decide(3, &body(), &silent);
    assert_eq!(
        (report.decision.verdict.clone(), ships),
        (Verdict::RollBack, Some(false)),
        "{report:#?}"
    );
    assert!(
        report.decision.rule.contains("assertive is worse: reply_rate"),
        "{}",
        report.decision.rule
    );

    let (report, ships) = decide(4, &body(), &|_| USUAL);
    assert_eq!(
        (report.decision.verdict, report.units, ships),
        (Verdict::Futile, 4_000, Some(false))
    );

    let wide = with(&[("decisions", json!({"equivalence": 0.9, "act": "advise"}))]);
    let (report, ships) = decide(4, &wide, &|_| USUAL);
    assert_eq!(
        (report.decision.verdict, ships),
        (Verdict::Equivalent, None),
        "advise tells and acts not"
    );

    // A better goal does not ship while a guardrail may have fallen by more than its margin.
    let narrow = with(&[("guardrails", json!([{"metric": "reply_rate", "margin": 0.001}]))]);
    let better =
        |arm: &str| if arm == "assertive" { Arm { converts: 0.2, ..USUAL } } else { USUAL };
    let (report, ships) = decide(6, &narrow, &better);
    assert_eq!((report.decision.verdict, ships), (Verdict::Futile, Some(false)));
    assert!(report.looks.last().unwrap().interval.lower > 0.0);
}

#[test]
fn units_that_are_not_shared_out_as_planned_stop_all_conclusions() {
    let rules = rules(&with(&[(
        "arms",
        json!([{"strategy": "empathetic", "weight": 1}, {"strategy": "assertive", "weight": 2}]),
    )]));
    // The market is one of equal weights: its arms were given under another definition.
    let own = experiment(&body());
    let mut ran = Ran::new(1);
    let better =
        |arm: &str| if arm == "assertive" { Arm { converts: 0.3, ..USUAL } } else { USUAL };
    ran.take(&self::rules(&body()), market(5, 3_000, &own, better));
    let effects = ran.report(&rules, 0);
    let report = measured(&effects).report.clone().unwrap();
    assert_eq!(report.decision.verdict, Verdict::SampleRatio, "{report:#?}");
    assert!(
        report.sample_ratio > 1_000_f64.ln()
            && concluded(&effects).is_some_and(|conclusion| conclusion.policy.strategy.is_none())
    );
}

#[test]
fn a_unit_keeps_its_arm_through_pause_and_new_weights_and_loses_it_when_stopped() {
    let mut rules = rules(&body());
    let weights = |first: u32| json!([{"strategy": "empathetic", "weight": first}, {"strategy": "assertive", "weight": 1}]);
    define(&mut rules, &reported(2, 2, &with(&[("revises", 1.into()), ("arms", weights(9))])))
        .unwrap();
    define(
        &mut rules,
        &reported(
            3,
            4,
            &with(&[("revises", 1.into()), ("arms", weights(9)), ("state", "paused".into())]),
        ),
    )
    .unwrap();
    define(
        &mut rules,
        &reported(
            4,
            6,
            &with(&[("revises", 1.into()), ("arms", weights(9)), ("state", "stopped".into())]),
        ),
    )
    .unwrap();
    let mut ran = Ran::new(1);
    let day = |day: i64| START + day * DAY_MS + HOUR_MS;
    let leads: Vec<String> = (0..60).map(|number| format!("lead-{number}")).collect();
    for at in [1, 3, 5, 7] {
        ran.take(&rules, leads.iter().map(|lead| says(lead, day(at))));
    }
    ran.take(&rules, (0..400).map(|number| says(&format!("new-{number}"), day(3) + number)));
    let seen = exposures(&ran.effects);
    for lead in &leads {
        let own: Vec<_> = seen.iter().filter(|exposure| exposure.key.lead_id() == lead).collect();
        assert_eq!(own.len(), 3, "while it runs, with other weights, and while it pauses");
        assert!(own.iter().all(|other| (
            &other.arm,
            other.bucket,
            other.propensity,
            other.version
        ) == (&own[0].arm, own[0].bucket, 0.5, 1)));
        assert_eq!(
            own.iter().map(|exposure| exposure.reason.as_str()).collect::<Vec<_>>(),
            ["assigned", "sticky", "sticky"]
        );
    }
    let new: Vec<_> =
        seen.iter().filter(|exposure| exposure.key.lead_id().starts_with("new")).collect();
    let empathetic = new.iter().filter(|exposure| exposure.arm == "empathetic").count();
    assert!(
        (330..390).contains(&empathetic)
            && new
                .iter()
                .all(|exposure| exposure.version == 2 && [0.9, 0.1].contains(&exposure.propensity))
    );
    // Both versions are one experiment, and each keeps to its own weights.
    let effects = ran.report(&rules, 0);
    let metrics = measured(&effects);
    assert_eq!(metrics.tally.arms.values().map(|arm| arm.exposed_units).sum::<u64>(), 460);
    assert!(metrics.report.as_ref().unwrap().sample_ratio < 1_000_f64.ln());
}

#[test]
fn a_layer_a_holdout_and_a_target_keep_units_out_and_a_lead_that_is_in_stays_in() {
    let in_layer = |name: &str, from: u32, to: u32| {
        let body = with(&[("layer", json!({"name": "tone", "from": from, "to": to}))]);
        reported(1, 0, &body)
            .replace("\"name\":\"tone\",\"tenant\"", &format!("\"name\":\"{name}\",\"tenant\""))
    };
    let mut rules = none();
    define(&mut rules, &in_layer("first", 0, 4_000)).unwrap();
    let refused = define(&mut rules, &in_layer("second", 3_999, 8_000)).unwrap_err();
    assert_eq!(
        refused,
        "body.layer: first has places of it already: choose a range beside it, or stop it first"
    );
    define(&mut rules, &in_layer("second", 4_000, 8_000)).unwrap();
    let settings = r#"{"tenant":"acme","kind":"settings","name":"s","version":1,"effective_at":"2026-01-01T00:00:00Z","body":{"holdout":2500}}"#;
    define(&mut rules, settings).unwrap();
    let mut ran = Ran::new(1);
    ran.take(&rules, (0..4_000).map(|number| says(&format!("lead-{number}"), START + number)));
    let seen = exposures(&ran.effects);
    let count = |name: &str| seen.iter().filter(|exposure| exposure.experiment == name).count();
    // A quarter is held out of everything; of the rest two fifths are in each. Five standard
    // deviations of 1,200.
    assert!(
        (1_055..1_345).contains(&count("first")) && (1_055..1_345).contains(&count("second")),
        "{} {}",
        count("first"),
        count("second")
    );
    let leads: std::collections::BTreeSet<_> =
        seen.iter().map(|exposure| exposure.key.lead_id()).collect();
    assert_eq!(leads.len(), seen.len());

    // Only who has written before is meant; whoever is in stays in although it is meant no more.
    let target = json!([{"feature": "messages_in_total", "at_least": 2, "below": 3}]);
    let rules = self::rules(&with(&[("target", target), ("stages", json!(["awareness"]))]));
    let mut ran = Ran::new(1);
    let mut at = START;
    let stages = ["", "", "", "offer_sent"].map(|stage| {
        at += HOUR_MS;
        let opportunity = (!stage.is_empty())
            .then(|| Opportunity { stage_id: Some(stage.to_owned()), ..Opportunity::default() });
        Interaction { opportunity, ..says("a", at) }
    });
    ran.take(&rules, stages);
    let seen = exposures(&ran.effects);
    assert_eq!(
        seen.iter().map(|exposure| exposure.reason.as_str()).collect::<Vec<_>>(),
        ["assigned", "sticky", "sticky"]
    );
    assert!(
        seen.iter().all(|exposure| (exposure.bucket, exposure.propensity) == (seen[0].bucket, 0.5)),
        "also in another stage"
    );
}

#[test]
fn what_was_registered_may_not_change_and_a_refusal_names_the_field() {
    let agent = |weight: u32| {
        json!({"unit": "agent", "salt": "1", "window_hours": 72,
            "arms": [{"strategy": "empathetic", "weight": weight}, {"strategy": "assertive", "weight": 1}]})
    };
    let mut rules = rules(&body());
    define(&mut rules, &reported(1, 0, &agent(1)).replace("\"tone\"", "\"team\"")).unwrap();
    let next = |more: &[(&str, Value)]| reported(2, 1, &with(more));
    let mut changed = agent(2);
    changed["revises"] = 1.into();
    let by_agent = |end: &str| {
        next(&[("unit", "agent".into()), ("planned_units", 20.into()), ("ends_at", end.into())])
    };
    let cases = [
        (
            next(&[("revises", 1.into()), ("window_hours", 24.into()), ("metrics", json!([]))]),
            "body.window_hours: was registered with version 1",
        ),
        (
            next(&[
                ("revises", 1.into()),
                ("goal", json!({"metric": "reply_rate"})),
                ("guardrails", json!([])),
            ]),
            "body.goal, guardrails",
        ),
        (next(&[("revises", 1.into()), ("salt", "2".into())]), "body.salt"),
        (next(&[("revises", 2.into())]), "body.revises"),
        (
            reported(3, 1, &with(&[("revises", 2.into())])),
            "body.revises: version 2 of tone is not there",
        ),
        (reported(2, 1, &changed).replace("\"tone\"", "\"team\""), "body.arms: was registered"),
        (next(&[("running", true.into())]), "running"),
        (next(&[("state", "over".into())]), "body.state"),
        (next(&[("goal", json!({"metric": "luck"}))]), "body.goal.metric"),
        (next(&[("goal", json!({"metric": "revenue"})), ("metrics", json!([]))]), "body.goal.cap"),
        (next(&[("goal", json!({"metric": "conversion_rate", "cap": 1}))]), "body.goal.cap"),
        (
            next(&[("goal", json!({"metric": "conversion_rate", "window_hours": 73}))]),
            "body.goal.window_hours",
        ),
        (next(&[("guardrails", json!([{"metric": "reply_rate"}]))]), "body.guardrails[0].margin"),
        (
            next(&[("guardrails", json!([{"metric": "conversion_rate", "margin": 0.1}]))]),
            "body.metrics",
        ),
        (next(&[("planned_units", Value::Null)]), "body.planned_units"),
        (next(&[("alpha", 0.5.into())]), "body.alpha"),
        (next(&[("control", "rude".into())]), "body.control"),
        (next(&[("decisions", json!({"days_min": 3}))]), "body.decisions.days_min"),
        (next(&[("decisions", json!({"act": "now"}))]), "body.decisions.act"),
        (next(&[("goal", Value::Null)]), "body.guardrails: means nothing without a goal"),
        (
            next(&[("ends_at", "2026-01-21T00:00:00Z".into())]),
            "body.ends_at: an experiment by lead",
        ),
        (next(&[("unit", "agent".into())]), "body.planned_units: agents in all arms, 8 to 200"),
        (
            next(&[("unit", "agent".into()), ("planned_units", 20.into())]),
            "body.ends_at: when the last lead is let in",
        ),
        (by_agent("soon"), "body.ends_at"),
        (
            by_agent("2026-01-08T23:59:59Z"),
            "body.ends_at: must be at least 7 days after effective_at",
        ),
        (next(&[("target", json!([{"feature": "luck", "below": 1}]))]), "body.target[0].feature"),
        (next(&[("target", json!([{"feature": "sessions"}]))]), "body.target[0]"),
        (next(&[("layer", json!({"name": "x", "from": 5, "to": 5}))]), "body.layer"),
        (next(&[("gaol", 1.into())]), "gaol"),
    ];
    for (text, names) in cases {
        let refused = define(&mut rules, &text).expect_err(&text);
        assert!(refused.contains(names), "{refused}: {text}");
    }
    // What was valid before there were goals stays valid.
    let old = json!({"unit": "lead", "salt": "s", "window_hours": 24, "state": "paused",
        "arms": [{"strategy": "a", "weight": 1}, {"strategy": "b", "weight": 1}]});
    define(&mut rules, &reported(9, 9, &old)).unwrap();
}

#[test]
fn a_chain_of_exposures_breaks_where_one_is_changed_or_missing() {
    let rules = rules(&body());
    let mut ran = Ran::new(1);
    ran.take(&rules, (0..5).map(|number| says("a", START + number * HOUR_MS)));
    let seen: Vec<Exposure> = exposures(&ran.effects).into_iter().cloned().collect();
    let holds = |seen: &[Exposure]| {
        let mut before = [0; 16];
        seen.iter().all(|exposure| {
            before = exposure.sealed(before);
            before == exposure.chain
        })
    };
    assert!(seen.len() == 5 && holds(&seen));
    let changes: [fn(&mut Exposure); 6] = [
        |exposure| exposure.bucket ^= 1,
        |exposure| exposure.propensity = 0.4,
        |exposure| exposure.at.0 += 1,
        |exposure| exposure.arm.push('x'),
        |exposure| exposure.config_sha256.replace_range(0..1, "x"),
        |exposure| exposure.chain[3] ^= 1,
    ];
    for change in changes {
        let mut other = seen.clone();
        change(&mut other[2]);
        assert!(!holds(&other));
    }
    let mut missing = seen;
    missing.remove(2);
    assert!(!holds(&missing));
}

#[test]
fn an_audit_recomputes_every_assignment_and_finds_one_flipped_bit_anywhere() {
    use leadstream::codec::{avro, outputs, shown};
    use leadstream::domain::audit::Audit;
    let mut rules = rules(&body());
    let weights =
        json!([{"strategy": "empathetic", "weight": 9}, {"strategy": "assertive", "weight": 1}]);
    define(&mut rules, &reported(2, 2, &with(&[("revises", 1.into()), ("arms", weights)])))
        .unwrap();
    let mut ran = Ran::new(1);
    ran.take(
        &rules,
        (0..12).flat_map(|hour| ["a", "b"].map(|lead| says(lead, START + hour * 6 * HOUR_MS))),
    );
    ran.take(
        &rules,
        (0..20).map(|number| says(&format!("new-{number}"), START + 3 * DAY_MS + number)),
    );
    let records: Vec<(Value, Vec<u8>)> = ran
        .effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Exposure(_)))
        .filter_map(outputs::output)
        .map(|output| (Value::from(output.key), output.value.unwrap()))
        .collect();
    let audit = |records: &[(Value, Vec<u8>)]| {
        let mut audit = Audit::default();
        for (index, (key, value)) in records.iter().enumerate() {
            let exposure = avro::describe(value)
                .map_err(|error| error.to_string())
                .and_then(|value| shown::exposure(key, &value));
            match exposure {
                Ok(Some(exposure)) => audit.take(&rules, &index.to_string(), &exposure),
                Ok(None) => audit.find(&index.to_string(), "no chain"),
                Err(reason) => audit.find(&index.to_string(), reason),
            }
        }
        audit
    };
    let clean = audit(&records);
    assert_eq!((clean.exposures, clean.units, clean.wrong), (44, 22, 0), "{:?}", clean.reported);
    for (index, bit) in [(5, 0), (5, 3), (5, 5), (40, 1), (40, 5), (40, 7)] {
        for byte in 0..records[index].1.len() {
            let mut flipped = records.clone();
            flipped[index].1[byte] ^= 1 << bit;
            let found = audit(&flipped);
            assert!(
                found.wrong > 0 && found.reported[0].starts_with(&index.to_string()),
                "bit {bit} of byte {byte}: {:?}",
                found.reported
            );
        }
    }
    let mut missing = records.clone();
    missing.remove(5);
    assert!(audit(&missing).wrong > 0);
    // An arm that the definition does not give, sealed anew, is found by recomputing it.
    let mut other = exposures(&ran.effects)[0].clone();
    other.bucket ^= 1;
    other.chain = other.sealed([0; 16]);
    let mut found = Audit::default();
    found.take(&rules, "0/0", &other);
    assert!(
        found.wrong == 1 && found.reported[0].contains("are not what a gets"),
        "{:?}",
        found.reported
    );
    // And a unit in two arms.
    let [mut first, mut second] = [0, 2].map(|index| exposures(&ran.effects)[index].clone());
    (first.reason, second.reason) = ("assigned".to_owned(), "assigned".to_owned());
    second.arm =
        if first.arm == "assertive" { "empathetic".to_owned() } else { "assertive".to_owned() };
    let mut found = Audit::default();
    found.take(&rules, "0/0", &first);
    found.take(&rules, "0/1", &second);
    assert_eq!(found.multi_exposed, 1);
}

/// Verdicts of experiments on markets of their own, each through a pipeline of its own.
fn verdicts(
    runs: u64,
    body: &Value,
    leads: usize,
    arm: impl Fn(&str) -> Arm + Sync,
) -> BTreeMap<&'static str, u64> {
    let (rules, own) = (rules(body), experiment(body));
    let next = std::sync::atomic::AtomicU64::new(0);
    let work = || {
        let mut found: BTreeMap<&'static str, u64> = BTreeMap::new();
        loop {
            let run = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if run >= runs {
                return found;
            }
            let mut ran = Ran::new(1);
            ran.take(&rules, market(1_000 + run, leads, &own, &arm));
            let effects = ran.report(&rules, 0);
            *found
                .entry(measured(&effects).report.as_ref().unwrap().decision.verdict.as_str())
                .or_default() += 1;
        }
    };
    let mut all: BTreeMap<&'static str, u64> = BTreeMap::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        for (verdict, count) in workers.into_iter().flat_map(|worker| worker.join().unwrap()) {
            *all.entry(verdict).or_default() += count;
        }
    });
    all
}

#[test]
fn equal_arms_are_rarely_promoted_or_rolled_back_and_unequal_ones_are() {
    // LEADSTREAM_TRIALS=1000 gives the figures of docs/verification.md.
    let runs: u64 =
        std::env::var("LEADSTREAM_TRIALS").ok().map_or(24, |runs| runs.parse().unwrap());
    let is_whole = runs >= 100;
    let planned = |leads: usize, margin: f64| {
        with(&[
            ("planned_units", leads.into()),
            ("guardrails", json!([{"metric": "reply_rate", "margin": margin}])),
        ])
    };
    let count = |found: &BTreeMap<&'static str, u64>, verdict: &str| {
        found.get(verdict).copied().unwrap_or(0)
    };
    let error = Limit::AtMost { rate: 0.05, stated: 0.073 };
    let errors_max = if runs >= 1_000 { 73 * runs / 1_000 } else { error.rejections(runs) };

    let leads = 1_000;
    let equal = verdicts(runs, &planned(leads, 0.3), leads, |_| USUAL);
    println!("equal arms, {leads} leads, {runs} runs: {equal:?}, at most {errors_max} of each");
    assert!(
        count(&equal, "promote") <= errors_max && count(&equal, "roll_back") <= errors_max,
        "{equal:?}"
    );
    assert_eq!(count(&equal, "sample_ratio"), 0);

    // The effects that twenty thousand leads find, or stronger ones where there are only two
    // thousand.
    let (leads, margin, worse, better) =
        if is_whole { (20_000, 0.15, 0.4, 0.12) } else { (2_000, 0.3, 0.3, 0.2) };
    let body = planned(leads, margin);
    let runs = if is_whole { runs / 20 } else { 10 };
    let found = |share: f64| Limit::AtLeast(share).rejections(runs);
    let silent = verdicts(runs, &body, leads, |arm| {
        if arm == "assertive" { Arm { replies: worse, ..USUAL } } else { USUAL }
    });
    println!(
        "replies {worse} instead of .5, {runs} runs: {silent:?}, at least {} rolled back",
        found(0.95)
    );
    assert!(count(&silent, "roll_back") >= found(0.95), "{silent:?}");
    let gain = verdicts(runs, &body, leads, |arm| {
        if arm == "assertive" { Arm { converts: better, ..USUAL } } else { USUAL }
    });
    println!(
        "conversions {better} instead of .1, {runs} runs: {gain:?}, at least {} promoted",
        found(0.9)
    );
    assert!(count(&gain, "promote") >= found(0.9), "{gain:?}");
}

//! The market: leads arrive, live and leave; what they do becomes deliveries in order of time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::dev::market::calendar::{BUSIEST, rush};
use crate::dev::market::event::Sender;
use crate::dev::market::lead::{Lead, Line, Phase, Scene, Traits};
use crate::dev::market::office::{Office, offices};
use crate::dev::market::words::{Business, Words};
use crate::dev::market::{Delivery, Truth};
use crate::domain::contact::zone;
use crate::domain::units::DAY_MS;
use crate::stats::random::Random;

/// Campaigns, with how often they bring a lead and how much they raise its log odds to convert.
const CAMPAIGNS: &[(&str, f64, f64)] = &[
    ("portal", 0.34, -0.2),
    ("website", 0.2, 0.1),
    ("social_ad", 0.2, -0.7),
    ("referral", 0.12, 0.9),
    ("open_house", 0.06, 0.4),
    ("yard_sign", 0.08, 0.3),
];
/// Timezones of leads that live elsewhere.
const ELSEWHERE: &[&str] =
    &["America/New_York", "America/Phoenix", "America/Los_Angeles", "America/Chicago"];

/// An office and when its next lead arrives.
#[derive(Clone, Debug)]
struct Door {
    office: Arc<Office>,
    random: Random,
    leads: u64,
    next_ms: i64,
    mean_ms: f64,
}

/// A lead that still does something.
#[derive(Clone, Debug)]
struct Living {
    lead: Lead,
    sender: Sender,
}

/// An endless market that a seed decides. Its size is that of its living leads; of the others only
/// the truth is kept.
#[derive(Clone, Debug)]
pub struct Market {
    seed: u64,
    doors: Vec<Door>,
    living: BTreeMap<usize, Living>,
    /// When each living lead goes on.
    turns: BTreeSet<(i64, usize)>,
    /// What happened and was not yet delivered, by time, lead and count.
    underway: BTreeMap<(i64, usize, u64), Delivery>,
    sent: u64,
    truth: Vec<Truth>,
}

impl Market {
    /// A market in which `leads` leads arrive per 30 days, from `start_ms` (milliseconds since
    /// 1970) on.
    #[must_use]
    pub fn new(seed: u64, leads: usize, start_ms: i64) -> Self {
        let door = |(place, office): (usize, Arc<Office>)| {
            let mut random = Random::new(seed, 0xd00f_0000 + place as u64);
            let mean_ms = 30.0 * DAY_MS as f64 / (leads.max(1) as f64 * office.share);
            let next_ms = arrival(start_ms, &office, mean_ms, &mut random);
            Door { office, random, leads: 0, next_ms, mean_ms }
        };
        Self {
            seed,
            doors: offices(seed).into_iter().enumerate().map(door).collect(),
            living: BTreeMap::new(),
            turns: BTreeSet::new(),
            underway: BTreeMap::new(),
            sent: 0,
            truth: Vec::new(),
        }
    }

    /// What is delivered after the last call and up to `until_ms`, in order. The result
    /// does not depend on how a period is split into calls.
    pub fn until(&mut self, until_ms: i64) -> Vec<Delivery> {
        loop {
            let door =
                self.doors.iter().enumerate().map(|(place, door)| (door.next_ms, place)).min();
            let turn = self.turns.first().copied();
            match (door, turn) {
                (Some((at_ms, place)), turn)
                    if at_ms <= until_ms && turn.is_none_or(|(turn_ms, _)| at_ms <= turn_ms) =>
                {
                    self.arrive(place)
                }
                (_, Some((at_ms, number))) if at_ms <= until_ms => self.go_on(number),
                _ => break,
            }
        }
        let later = self.underway.split_off(&(until_ms + 1, 0, 0));
        std::mem::replace(&mut self.underway, later).into_values().collect()
    }

    /// The truth about every lead that has appeared, in order of appearance.
    #[must_use]
    pub fn truth(&self) -> &[Truth] {
        &self.truth
    }

    /// Leads that may still do something.
    #[must_use]
    pub fn living(&self) -> usize {
        self.living.len()
    }

    fn arrive(&mut self, place: usize) {
        let Some(door) = self.doors.get_mut(place) else { return };
        door.leads += 1;
        let at_ms = door.next_ms;
        door.next_ms = arrival(at_ms, &door.office, door.mean_ms, &mut door.random);
        let random = Random::new(self.seed, (place as u64 + 1) << 40 | door.leads);
        let lead = born(&door.office, format!("lead-{:05}", door.leads), at_ms, random);
        let sender = Sender {
            random: Random::new(self.seed, (place as u64 + 101) << 40 | door.leads),
            seed: self.seed,
            tenant: door.office.tenant,
            lead_id: lead.id.clone(),
            count: 0,
            first_ms: None,
        };
        let number = self.truth.len();
        self.truth.push(foreseen(&lead));
        self.living.insert(number, Living { lead, sender });
        self.turns.insert((at_ms, number));
    }

    fn go_on(&mut self, number: usize) {
        self.turns.pop_first();
        let Some(Living { lead, sender }) = self.living.get_mut(&number) else { return };
        let alive = lead.go_on();
        for delivery in lead.events.drain(..).flat_map(|event| sender.send(&event)) {
            self.sent += 1;
            self.underway.insert((delivery.at_ms, number, self.sent), delivery);
        }
        if alive {
            self.turns.insert((lead.at_ms, number));
        } else {
            self.living.remove(&number);
        }
    }
}

/// When the next lead comes: a Poisson process whose rate follows the hours of the week, by
/// thinning (Lewis and Shedler 1979).
fn arrival(after_ms: i64, office: &Office, mean_ms: f64, random: &mut Random) -> i64 {
    let mut at_ms = after_ms;
    loop {
        at_ms += random.wait_ms(mean_ms / BUSIEST);
        if random.chance(rush(at_ms, &office.zone) / BUSIEST) {
            return at_ms;
        }
    }
}

/// A lead on its arrival.
fn born(office: &Arc<Office>, id: String, at_ms: i64, mut random: Random) -> Lead {
    let logistic = |log_odds: f64| 1.0 / (1.0 + libm::exp(-log_odds));
    let draw = random.unit();
    let mut reached = 0.0;
    let found = CAMPAIGNS.iter().find(|(_, share, _)| {
        reached += share;
        draw < reached
    });
    let (campaign, _, keener) = found.copied().unwrap_or(("website", 0.0, 0.0));
    let will = random.normal();
    let usual = match office.business {
        Business::Sales => -1.7,
        Business::Rentals => -0.9,
        Business::Lending => -1.4,
    };
    let traits = Traits {
        p_convert: logistic(usual + keener + 1.2 * will),
        p_answer: logistic(0.9 + 0.5 * will + 0.7 * random.normal()),
        p_objection: logistic(-1.6 - 0.2 * will + 0.7 * random.normal()),
        answer_minutes: random.around(90.0, 1.0) * libm::exp(-0.5 * will),
        casual: random.chance(0.35),
    };
    let line = match random.unit() {
        ..0.62 => Line::Sms,
        ..0.82 => Line::Email,
        ..0.92 => Line::Whatsapp,
        _ => Line::Chat,
    };
    let home = random
        .chance(0.1)
        .then(|| random.pick(ELSEWHERE))
        .and_then(|name| Some((name, zone(name)?)));
    let area = office
        .areas
        .get(random.below(office.areas.len()))
        .copied()
        .expect("an office works somewhere");
    let words = Words::new(office.business, area, &mut random);
    Lead {
        agent_place: random.below(office.agents.len()),
        office: office.clone(),
        traits,
        words,
        id,
        zone: home.unwrap_or((office.zone_name, office.zone.clone())),
        line,
        phase: Phase::Contact,
        plan: VecDeque::from([Scene::Arrive]),
        mood: 0.0,
        at_ms,
        newest_ms: at_ms,
        events: Vec::new(),
        said: Vec::new(),
        end: None,
        returned: false,
        known: false,
        stands: None,
        sessions: 0,
        campaign,
        random,
    }
}

/// The truth about a lead: a copy is played to the end, of which only the outcome is kept.
fn foreseen(lead: &Lead) -> Truth {
    let Traits { p_convert, p_answer, p_objection, .. } = lead.traits;
    let mut rehearsal = lead.clone();
    while rehearsal.go_on() {
        rehearsal.events.clear();
    }
    Truth {
        tenant: lead.office.tenant.to_owned(),
        lead_id: lead.id.clone(),
        agent_id: lead.agent().id.clone(),
        appeared_ms: lead.at_ms,
        p_convert,
        p_answer,
        p_objection,
        p_appointment: libm::pow(p_convert, Phase::Contact.weight() + Phase::Search.weight()),
        end: rehearsal.end,
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::codec::interaction;
    use crate::codec::model::starting_rules;
    use crate::domain::event::EventType;
    use crate::domain::journey::Outcome as Ending;
    use crate::domain::scoring::Target;
    use crate::domain::units::{AppendTime, EventTime, LeadKey};
    use crate::learn::backtest::auc;
    use crate::pipeline::{Input, Memory};

    const START_MS: i64 = 1_767_225_600_000;

    fn input(delivery: &Delivery) -> Input {
        match interaction::from_json(&delivery.line) {
            Ok(event) => {
                Input::Interaction { event: Box::new(event), appended: AppendTime(delivery.at_ms) }
            }
            Err(error) => Input::Undecodable(error.to_string()),
        }
    }

    #[test]
    fn a_seed_decides_everything_and_slicing_changes_nothing() {
        let end_ms = START_MS + 30 * DAY_MS;
        let mut whole = Market::new(7, 60, START_MS);
        let deliveries = whole.until(end_ms);
        for slices in [2, 7, 400] {
            let mut sliced = Market::new(7, 60, START_MS);
            let parts = (1..=slices)
                .flat_map(|slice| sliced.until(START_MS + 30 * DAY_MS * slice / slices))
                .collect::<Vec<_>>();
            assert!(parts == deliveries && sliced.truth() == whole.truth(), "{slices} slices");
        }
        assert!(deliveries.is_sorted_by_key(|delivery| delivery.at_ms));
        assert!(whole.until(end_ms).is_empty() && !whole.until(end_ms + DAY_MS).is_empty());
        assert_ne!(Market::new(8, 60, START_MS).until(end_ms), deliveries);
    }

    /// SHA-256 of the first 20,000 deliveries of a market: when, what and with which fate.
    fn digest(seed: u64) -> String {
        let mut market = Market::new(seed, 600, START_MS);
        let days = (1..).flat_map(|day| market.until(START_MS + day * DAY_MS));
        let mut digest = Sha256::new();
        for Delivery { at_ms, line, fate } in days.take(20_000) {
            digest.update(format!("{at_ms} {fate:?} {}\n", line.len()));
            digest.update(line);
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_first_20_000_deliveries_of_seed_1_are_these() {
        // Any change of a sentence, a name or a chance changes this: put the new digest here after
        // reading what the market now writes.
        assert_eq!(digest(1), "165209f56ce0967674811a0051a345bc137d3d8af8b52ba6fccc003cc21088e4");
    }

    #[test]
    fn every_fate_is_known_beforehand() {
        let rules = starting_rules();
        let mut memory = Memory::default();
        let mut counts = BTreeMap::new();
        for delivery in Market::new(5, 300, START_MS).until(START_MS + 60 * DAY_MS) {
            let outcome = memory.run(&rules, &input(&delivery), &mut Vec::new());
            assert_eq!(outcome, delivery.fate, "{}", String::from_utf8_lossy(&delivery.line));
            *counts.entry(format!("{outcome:?}")).or_insert(0_usize) += 1;
        }
        let total: usize = counts.values().sum();
        let share = |name: &str| counts.get(name).copied().unwrap_or(0) as f64 / total as f64;
        assert!(total > 8_000, "{counts:?}");
        assert!((0.006..0.016).contains(&share("Duplicate")), "{counts:?}");
        assert!((0.003..0.009).contains(&share("Late")), "{counts:?}");
        assert!((0.003..0.009).contains(&share("DeadLettered")), "{counts:?}");
    }

    #[test]
    fn every_kind_of_event_that_a_crm_sends_occurs() {
        let mut kinds = BTreeSet::new();
        for delivery in Market::new(2, 600, START_MS).until(START_MS + 90 * DAY_MS) {
            kinds.extend(interaction::from_json(&delivery.line).map(|event| event.kind));
        }
        let missing: Vec<_> = EventType::WORDS
            .iter()
            .filter(|word| !kinds.contains(&EventType::parse(word)))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert_eq!(kinds.len(), EventType::WORDS.len());
    }

    #[test]
    fn truth_and_events_agree_on_how_leads_end() {
        let mut market = Market::new(4, 300, START_MS);
        let end_ms = START_MS + 60 * DAY_MS;
        let mut ends: BTreeMap<(String, String), (Ending, i64)> = BTreeMap::new();
        for event in market
            .until(end_ms)
            .iter()
            .filter_map(|delivery| interaction::from_json(&delivery.line).ok())
        {
            let outcome = match event.kind {
                EventType::LeadConverted => Ending::Won,
                EventType::LeadLost => Ending::Lost,
                _ => continue,
            };
            ends.insert(
                (event.key.tenant().as_str().to_owned(), event.key.lead_id().to_owned()),
                (outcome, event.occurred_at.0),
            );
        }
        let mut won = 0;
        for truth in market.truth() {
            let seen = ends.get(&(truth.tenant.clone(), truth.lead_id.clone()));
            if let (Some((outcome, at_ms)), Some(seen)) =
                (truth.end.filter(|(_, at_ms)| *at_ms < end_ms - DAY_MS), seen)
            {
                assert!(outcome == seen.0 && (at_ms - seen.1).abs() < DAY_MS, "{truth:?} {seen:?}");
                won += usize::from(outcome == Ending::Won);
            }
        }
        assert!(won > 40, "{won}");
    }

    #[test]
    fn leads_leave_the_generator() {
        let mut market = Market::new(6, 300, START_MS);
        market.until(START_MS + 120 * DAY_MS);
        let early = market.living();
        market.until(START_MS + 360 * DAY_MS);
        assert!(
            market.truth().len() > 3_000 && market.living() < 2 * early,
            "{early} {}",
            market.living()
        );
    }

    #[test]
    fn conversions_follow_what_is_hidden_and_how_fast_agents_answer() {
        let mut market = Market::new(9, 4_000, START_MS);
        market.until(START_MS + 30 * DAY_MS);
        let minutes = |truth: &Truth| {
            let office =
                market.doors.iter().find(|door| door.office.tenant == truth.tenant).unwrap();
            office
                .office
                .agents
                .iter()
                .find(|agent| agent.id == truth.agent_id)
                .unwrap()
                .answer_minutes
        };
        let share = |part: &mut dyn FnMut(&Truth) -> bool| {
            let chosen: Vec<&Truth> = market.truth().iter().filter(|truth| part(truth)).collect();
            let won = chosen
                .iter()
                .filter(|truth| truth.end.is_some_and(|(outcome, _)| outcome == Ending::Won))
                .count() as f64;
            let hidden =
                chosen.iter().map(|truth| truth.p_convert).sum::<f64>() / chosen.len() as f64;
            (won / chosen.len() as f64, hidden)
        };
        for (low, high) in [(0.0, 0.1), (0.1, 0.2), (0.2, 0.35), (0.35, 0.55), (0.55, 1.0)] {
            let (won, hidden) = share(&mut |truth| (low..high).contains(&truth.p_convert));
            assert!((won - hidden).abs() < 0.06, "{low}..{high}: {won} {hidden}");
        }
        let (fast, fast_hidden) = share(&mut |truth| minutes(truth) < 30.0);
        let (slow, slow_hidden) = share(&mut |truth| minutes(truth) > 120.0);
        assert!(
            fast / fast_hidden > 1.15 * slow / slow_hidden,
            "fast {fast} of {fast_hidden}, slow {slow} of {slow_hidden}"
        );
    }

    #[test]
    fn the_starting_model_finds_the_hidden_intent_of_open_leads() {
        let rules = starting_rules();
        let mut memory = Memory::default();
        let mut market = Market::new(1, 300, START_MS);
        let end_ms = START_MS + 45 * DAY_MS;
        market.until(end_ms).iter().for_each(|delivery| {
            memory.run(&rules, &input(delivery), &mut Vec::new());
        });
        let mut pairs = Vec::new();
        for truth in market.truth() {
            let key = LeadKey::parse(&format!("{}:{}", truth.tenant, truth.lead_id)).unwrap();
            let Some(lead) = memory.lead(&key).filter(|lead| lead.journey.outcome.is_none()) else {
                continue;
            };
            let scores =
                lead.scores(&rules.in_force(key.tenant(), EventTime(end_ms)), EventTime(end_ms));
            pairs.push((
                scores[Target::ConversionLikelihood.index()].probability,
                truth.p_convert >= 0.3,
            ));
        }
        let found = auc(&pairs).unwrap();
        assert!(pairs.len() > 80 && found > 0.6, "{} open leads, AUC {found:.3}", pairs.len());
    }
}

//! Events per second of the pure pipeline: 100,000 leads whose events are Zipf distributed
//! (exponent 1), one partition in memory.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

use leadstream::codec::{interaction, model, outputs};
use leadstream::domain::lexicon::Lexicon;
use leadstream::domain::rules::Rules;
use leadstream::domain::units::AppendTime;
use leadstream::pipeline::{Effect, Input, Memory};

const LEADS: usize = 100_000;
const EVENTS: usize = 20_000;
const START: i64 = 1_767_225_600_000;

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Kinds in the proportions of a sales day, with what they carry.
const KINDS: [(&str, &str); 8] = [
    ("page.viewed", r#","channel":"web""#),
    ("page.viewed", r#","channel":"web""#),
    ("listing.viewed", r#","channel":"web","listing":{"price_minor":42500000,"currency":"USD"}"#),
    (
        "call.completed",
        r#","channel":"phone","direction":"outbound","measures":{"call_seconds":95}"#,
    ),
    (
        "message.sent",
        r#","channel":"sms","direction":"outbound","content":{"text":"I can arrange a visit this week."}"#,
    ),
    (
        "message.received",
        r#","channel":"sms","direction":"inbound","content":{"text":"What is the monthly payment?"}"#,
    ),
    ("email.opened", r#","channel":"email""#),
    ("opportunity.stage_changed", r#","pipeline":{"stage_id":"Contacted"}"#),
];

fn events(random: &mut Random, count: usize, from: u64) -> Vec<Input> {
    let weights = (1..=LEADS).scan(0.0, |sum, rank| {
        *sum += 1.0 / rank as f64;
        Some(*sum)
    });
    let reached: Vec<f64> = weights.collect();
    let total = reached[LEADS - 1];
    (0..count as u64)
        .map(|place| {
            let number = from + place;
            let draw = random.unit() * total;
            let lead = reached.partition_point(|sum| *sum < draw);
            let (kind, more) = KINDS[(random.unit() * 8.0) as usize];
            let at = START + number as i64 * 200;
            let line = format!(
                r#"{{"event_id":"00000000-0000-5000-8000-{number:012}","event_type":"{kind}","tenant_id":"acme","lead_id":"lead-{lead}","occurred_at":{at},"received_at":{at},"source_system":"crm","agent_id":"agent-{}"{more}}}"#,
                lead % 40
            );
            let event = interaction::from_json(line.as_bytes()).expect("the events are well formed");
            Input::Interaction { event: Box::new(event), appended: AppendTime(at) }
        })
        .collect()
}

fn pipeline(criterion: &mut Criterion) {
    let rules = Rules::new(Arc::new(model::starting()), Arc::new(Lexicon::english()));
    let mut random = Random(7);
    let (mut warm, mut effects) = (Memory::default(), Vec::new());
    for input in events(&mut random, 3 * LEADS, 0) {
        warm.run(&rules, &input, &mut effects);
        effects.clear();
    }
    let inputs = events(&mut random, EVENTS, 3 * LEADS as u64);
    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.sample_size(10);
    group.bench_function("take", |bencher| {
        bencher.iter_batched_ref(
            || warm.clone(),
            |memory| {
                let mut effects = Vec::new();
                for input in &inputs {
                    memory.run(&rules, input, &mut effects);
                    effects.clear();
                }
            },
            BatchSize::PerIteration,
        );
    });
    let mut decided: Vec<Effect> = Vec::new();
    inputs.iter().for_each(|input| {
        warm.run(&rules, input, &mut decided);
    });
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            for effect in &decided {
                black_box(outputs::output(effect));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);

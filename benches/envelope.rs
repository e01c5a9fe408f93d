//! What taking a batch of 100 updates apart costs, beside decoding it with the typed model.
//!
//! `cargo bench --bench envelope`. Criterion prints updates per second; 1 Melem/s is 1 µs per update.

#![allow(missing_docs, reason = "the macros of criterion expand to public functions")]

use std::hint::black_box;

use actogram::update::{Envelope, Update, split};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const UPDATES: usize = 100;

/// A text message of about 560 bytes.
fn text_update(n: usize) -> String {
    let text = "Water the tomatoes at six, then close the greenhouse door. Thanks for all your help today!";
    format!(
        r#"{{"update_id":{},"message":{{"message_id":{},"from":{{"id":{user},"is_bot":false,"first_name":"Ada","last_name":"Okafor","username":"ada_okafor","language_code":"en"}},"chat":{{"id":{user},"first_name":"Ada","last_name":"Okafor","username":"ada_okafor","type":"private"}},"date":1767261600,"text":"/remind {text}\u043f\u0440\u0438\u0432\u0435\u0442","entities":[{{"offset":0,"length":7,"type":"bot_command"}}],"link_preview_options":{{"is_disabled":true}}}}}}"#,
        731_204_500 + n,
        4_000 + n,
        user = 5_208_471_000 + n,
    )
}

/// A photo with entities that replies to a message, of about 1,700 bytes.
fn media_update(n: usize) -> String {
    let chat =
        r#"{"id":-1001872345678,"title":"Allotment 14 \ud83c\udf31","is_forum":true,"type":"supergroup"}"#;
    let sizes: Vec<String> = [(90, 67), (320, 240), (800, 600), (1280, 960)]
        .iter()
        .map(|(width, height)| {
            format!(
                r#"{{"file_id":"AgACAgIAAx0Cb5kYzgACAWFnAAE{width}KQ7mRf0dXo1qgYQ","file_unique_id":"AQADu8sxG2e9{width}","file_size":98210,"width":{width},"height":{height}}}"#
            )
        })
        .collect();
    format!(
        r#"{{"update_id":{},"message":{{"message_id":{},"message_thread_id":77,"from":{{"id":{user},"is_bot":false,"first_name":"Benedikt","language_code":"de"}},"chat":{chat},"date":1767261604,"is_topic_message":true,"reply_to_message":{{"message_id":90400,"message_thread_id":77,"from":{{"id":5208471933,"is_bot":false,"first_name":"Ada","last_name":"Okafor","username":"ada_okafor","language_code":"en"}},"chat":{chat},"date":1767260700,"is_topic_message":true,"text":"Who has the key to the shed, and who takes it back on Sunday evening?"}},"photo":[{sizes}],"caption":"On the hook by the door \u2192 ask Ines, see https://example.org/shed and @ada_okafor","caption_entities":[{{"offset":3,"length":8,"type":"bold"}},{{"offset":41,"length":24,"type":"url"}},{{"offset":70,"length":11,"type":"mention"}}],"reply_markup":{{"inline_keyboard":[[{{"text":"I take it","callback_data":"key:yes"}},{{"text":"Not me","callback_data":"key:no"}}]]}}}}}}"#,
        731_204_500 + n,
        90_000 + n,
        user = 88_123_000 + n,
        sizes = sizes.join(","),
    )
}

fn batch(update: impl Fn(usize) -> String) -> String {
    let updates: Vec<String> = (0..UPDATES).map(update).collect();
    format!("[{}]", updates.join(","))
}

fn bench_batches(criterion: &mut Criterion) {
    for (name, batch) in [("text", batch(text_update)), ("media", batch(media_update))] {
        println!("{name}: {} bytes per update", batch.len() / UPDATES);
        let raws = split(&batch).expect("the batch is an array");
        let updates: Vec<Update> = raws
            .iter()
            .map(|raw| Update::from_raw(raw).expect("each element is an update"))
            .collect();
        assert!(
            updates.iter().all(|update| update.content().is_ok()),
            "the typed model knows these updates"
        );
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(UPDATES as u64));

        group.bench_function("split", |bencher| bencher.iter(|| split(black_box(&batch))));
        group.bench_function("split + envelope", |bencher| {
            bencher.iter(|| {
                let raws = split(black_box(&batch)).expect("the batch is an array");
                raws.into_iter()
                    .filter_map(|raw| Envelope::read(raw).ok())
                    .for_each(|envelope| {
                        black_box(envelope);
                    });
            });
        });
        group.bench_function("split + update (copy, lane)", |bencher| {
            bencher.iter(|| {
                let raws = split(black_box(&batch)).expect("the batch is an array");
                raws.into_iter()
                    .filter_map(|raw| Update::from_raw(raw).ok())
                    .collect::<Vec<_>>()
            });
        });
        group.bench_function("update from json", |bencher| {
            bencher.iter(|| {
                raws.iter()
                    .filter_map(|raw| Update::from_json(black_box(raw.get())).ok())
                    .collect::<Vec<_>>()
            });
        });
        group.bench_function("content", |bencher| {
            bencher.iter(|| {
                black_box(&updates)
                    .iter()
                    .filter_map(|update| update.content().ok())
                    .collect::<Vec<_>>()
            });
        });
        group.bench_function("typed batch, for comparison", |bencher| {
            bencher.iter(|| {
                serde_json::from_str::<Vec<frankenstein::updates::Update>>(black_box(&batch))
                    .expect("the typed model knows these updates")
            });
        });
        group.finish();
    }
}

criterion_group!(benches, bench_batches);
criterion_main!(benches);

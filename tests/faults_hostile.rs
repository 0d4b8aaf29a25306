//! F26: what must never be in a topic is in it, and comes in floods.

mod support;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use stockstream::market::checkpoint::TopicPartition;
use stockstream::storage::layout::{EntryName, parse_date_dir, parse_partition, parse_public_name};

use support::cluster::Cluster;
use support::effort::Effort;
use support::flow::Flow;
use support::oracle::Counts;
use support::program::{PATIENCE, Summary};
use support::real_kafka::RealKafka;
use support::ticks::{Recipe, Ticks};

/// A program in a debug build that reads ordinary ticks takes a third of this.
const MOST_MEMORY_KIB: u64 = 192 * 1024;

/// A record as nobody of us would publish it.
struct Odd {
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
}

fn odd(key: impl Into<Vec<u8>>, payload: impl Into<Vec<u8>>) -> Odd {
    Odd { key: Some(key.into()), payload: Some(payload.into()) }
}

/// Publishes anything, of any key.
struct RawProducer(BaseProducer);

impl RawProducer {
    fn connect(flow: &Flow) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", flow.cluster.bootstrap()).set("max.in.flight", "1");
        config.set("linger.ms", "20").set("message.max.bytes", "2000000");
        Self(config.create().unwrap())
    }

    fn publish(&self, (topic, partition): (&str, i32), odd: &Odd) {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition);
        (record.key, record.payload) = (odd.key.as_deref(), odd.payload.as_deref());
        while let Err((error, refused)) = self.0.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull));
            self.0.poll(Duration::from_millis(10));
            record = refused;
        }
    }
}

impl Drop for RawProducer {
    fn drop(&mut self) {
        assert!(self.0.flush(PATIENCE).is_ok() || std::thread::panicking());
    }
}

/// One of everything, for each partition.
fn oddities() -> Vec<Odd> {
    let line = |symbol: &str, price: &str| format!("2025-05-13 22:30:00,{symbol},{price}");
    let mut odd_ones = vec![
        odd(b"AAPL", vec![b'x'; 1_000_000]),
        odd(vec![b'k'; 500_000], vec![0xff; 500_000]),
        odd(b"\xff\xfe", b"2025-05-13 22:30:00,AAPL\xff,1"),
        odd(b"", b""),
        odd(b"", line("AAPL", "")),
        Odd { key: None, payload: None },
        Odd { key: Some(b"AAPL".to_vec()), payload: None },
        odd(b"../../x", line("../../x", "1")),
        odd(b"AAPL", line("AAPL", "1").replace("2025", "2999")),
        odd(b"AAPL", line("AAPL", "1").replace("2025", "0001")),
        odd(b"AAPL", format!("9223372036854775807,AAPL,1,{}", f64::MAX)),
        odd(b"AAPL", [line("AAPL", "1"), line("AAPL", "2")].join("\n")),
        odd(b"AAPL", "PAR1\0\0\0\0PAR1"),
        odd(b"AAPL", "{\"symbol\":\"AAPL\"}"),
    ];
    for symbol in [
        "../../x",
        "..",
        "/etc/passwd",
        "a\0b",
        "AAPL/..",
        ".tmp-1",
        "compact-2025-05-13",
        "日経",
        "aapl",
        &"S".repeat(4_000),
    ] {
        odd_ones.push(odd(symbol, line(symbol, "1.5")));
    }
    for price in ["-1", "-0.0", "0", "NaN", "nan", "inf", "-inf", "1e999", "1e-999", "0x10", "1,5,6,7", "1\u{a0}"] {
        odd_ones.push(odd("AAPL", line("AAPL", price)));
    }
    odd_ones
}

/// Good ticks with everything odd between them. Returns how many records there are.
fn publish_among_good_ticks(flow: &Flow, strangers: &Range<usize>) -> usize {
    let ticks = Ticks::make(&Recipe { seed: 26, lines: 6_000, spoiled: 0.0, ..Recipe::default() });
    let producer = RawProducer::connect(flow);
    let partitions = flow.partitions();
    let mut published = 0;
    for (part, lines) in ticks.lines.chunks(ticks.lines.len() / 4).enumerate() {
        for line in lines {
            producer.publish(flow.partition_of(line), &odd(*b"good", line.as_slice()));
        }
        published += lines.len();
        if part == 1 {
            for partition in &partitions {
                let odd_ones = oddities();
                odd_ones.iter().for_each(|odd| producer.publish(*partition, odd));
                published += odd_ones.len();
            }
        }
        // Symbols that nobody knows, none twice.
        let quarter = strangers.len() / 4;
        for number in strangers.start + part * quarter..strangers.start + (part + 1) * quarter {
            let symbol = format!("U{number}");
            let line = format!("2025-05-13 22:30:00,{symbol},1.5");
            producer.publish(partitions[number % partitions.len()], &odd(symbol, line));
        }
        published += quarter;
    }
    // As large as a double can be, in windows that only close when everything else has.
    for (number, price) in [1e308, f64::MAX, f64::MIN_POSITIVE].into_iter().enumerate() {
        let line = format!("{},AAPL,{price:e},{:e}", ticks.newest + number as i64, f64::MAX);
        producer.publish(flow.partition_of(line.as_bytes()), &odd("AAPL", line));
        published += 1;
    }
    published
}

/// Runs the program to the end of the logs. Returns its summary, what it said, and the most memory it had, in KiB.
fn run_to_the_end(flow: &Flow) -> (Summary, String, u64) {
    let running = flow.program(&["run", "--until-end"]).start();
    let status = format!("/proc/{}/status", running.pid());
    let watch = std::thread::spawn(move || {
        let mut most = 0;
        // It is gone, or has given its memory back, when it has ended.
        while let Some(peak) = std::fs::read_to_string(&status).ok().as_deref().and_then(peak_kib) {
            most = most.max(peak);
            std::thread::sleep(Duration::from_millis(20));
        }
        most
    });
    let ended = running.end();
    (ended.summary(), ended.stderr, watch.join().unwrap())
}

fn peak_kib(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Every name below the directory is one that the lake gives, of these partitions.
fn assert_only_expected_names(flow: &Flow) {
    let partitions: BTreeSet<TopicPartition> =
        flow.partitions().into_iter().map(|(topic, number)| TopicPartition::new(topic, number)).collect();
    let names = |path: &Path| -> Vec<String> {
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let root: BTreeSet<String> = names(flow.dir.path()).into_iter().collect();
    assert_eq!(root, BTreeSet::from(["cluster.toml".to_owned(), "lake".to_owned()]));
    let lake = flow.lake();
    assert!(
        names(&lake).iter().all(|name| ["bars", "features", "state"].contains(&name.as_str())),
        "{:?}",
        names(&lake)
    );
    for dataset in ["bars", "features"].map(|dataset| lake.join(dataset)) {
        for date in names(&dataset) {
            assert!(["2025-05-13", "2025-05-14"].contains(&parse_date_dir(&date).unwrap()), "{date}");
            for file in names(&dataset.join(date)) {
                assert!(parse_public_name(&file).is_some_and(|(of, _)| partitions.contains(&of)), "{file}");
            }
        }
    }
    let state = lake.join("state");
    for name in names(&state) {
        match parse_partition(&name) {
            Some(partition) => {
                assert!(partitions.contains(&partition), "{name}");
                for entry in names(&state.join(name)) {
                    assert!(EntryName::parse(&entry).is_some() || entry == "indicators", "{entry}");
                }
            }
            None => assert!(name == "lake.json" || name.ends_with(".lock"), "{name}"),
        }
    }
}

fn topics(flow: &Flow) -> BTreeSet<String> {
    let mut config = ClientConfig::new();
    let consumer: BaseConsumer = config.set("bootstrap.servers", flow.cluster.bootstrap()).create().unwrap();
    let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap_or_else(|error: KafkaError| panic!("{error}"));
    metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()
}

/// A million strangers in the long form: for one process where there is a real Kafka, else for ten, because a mock broker keeps no
/// more than 5 MiB a partition.
fn survives_everything_odd(keyed: bool) {
    let effort = Effort::of_this_run();
    if let (Effort::Long, Some(kafka)) = (effort, RealKafka::start()) {
        let flow = Flow::on(Cluster::real(&kafka.bootstrap()), keyed, "[producer]\nenabled = false\n");
        // The program makes the topics.
        flow.until_end();
        return survives(&flow, &(0..1_000_000));
    }
    let (rounds, strangers) = effort.pick((1, 20_000), (1, 50_000), (10, 100_000));
    for round in 0..rounds {
        survives(&Flow::new(keyed, ""), &(round * strangers..(round + 1) * strangers));
    }
}

fn survives(flow: &Flow, strangers: &Range<usize>) {
    let topics_before = topics(flow);
    let published = publish_among_good_ticks(flow, strangers);
    let (summary, stderr, memory) = run_to_the_end(flow);
    assert_eq!(summary.read, published as u64, "{summary:?}\n{stderr}");
    let Counts { malformed, unknown, future, .. } = flow.assert_lake_is_right();
    assert_eq!((summary.malformed, summary.unknown, summary.future), (malformed, unknown, future));
    assert!(unknown >= strangers.len() as u64 && malformed >= 20 * flow.partitions().len() as u64, "{summary:?}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert_only_expected_names(flow);
    assert_eq!(topics(flow), topics_before, "no topic comes to be because of a symbol");
    println!("{published} records, {memory} KiB at most");
    assert!((1..MOST_MEMORY_KIB).contains(&memory), "{memory} KiB");
    let letters = flow.cluster.dead_letters();
    assert_eq!(letters.len() as u64, summary.malformed + summary.future + summary.late, "so few are all sent");
    assert!(letters.iter().all(|(_, payload)| payload.len() <= 64 * 1024), "cut");
}

#[test]
fn f26_odd_records_of_every_kind_are_counted_and_leave_the_good_ticks_memory_and_disk_alone() {
    survives_everything_odd(false);
}

#[test]
fn f26_so_they_do_with_many_stocks_in_a_topic() {
    survives_everything_odd(true);
}

#[test]
fn f26_of_a_flood_some_letters_are_sent_every_tick_is_counted_and_the_good_ones_go_on() {
    let flow = Flow::new(false, "");
    let bad = Effort::of_this_run().pick(20_000, 40_000, 80_000);
    let ticks = Ticks::make(&Recipe { seed: 27, lines: 4_000, spoiled: 0.0, ..Recipe::default() });
    let producer = RawProducer::connect(&flow);
    for (number, line) in ticks.lines.iter().enumerate() {
        producer.publish(flow.partition_of(line), &odd(*b"good", line.as_slice()));
        for _ in 0..(bad * (number + 1) / ticks.lines.len() - bad * number / ticks.lines.len()) {
            producer.publish(flow.partitions()[0], &odd(*b"bad", *b"nonsense"));
        }
    }
    drop(producer);
    let (summary, stderr, memory) = run_to_the_end(&flow);
    assert_eq!((summary.read, summary.malformed), ((ticks.lines.len() + bad) as u64, bad as u64), "all are counted");
    flow.assert_lake_is_right();
    let letters = flow.cluster.dead_letters().len();
    println!("{letters} letters of {bad} bad ticks, {memory} KiB at most");
    assert!((2_000..bad).contains(&letters), "{letters} letters");
    assert!(stderr.contains("a flood of bad ticks: dead letters were left out"), "{stderr}");
    assert!(memory < MOST_MEMORY_KIB, "{memory} KiB");
}

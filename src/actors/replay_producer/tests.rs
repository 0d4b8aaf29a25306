use std::io::{BufReader, Cursor, Read};
use std::sync::{Arc, Mutex};

use super::*;
use crate::actors::testing::{Probe, all_done, minute, probe, symbol};
use crate::market::codec::{MAX_PAYLOAD, Malformed};
use crate::settings::{Sources, load};

/// What was published: topic, key, payload, and when.
#[derive(Default)]
struct Broker {
    records: Vec<(String, Vec<u8>, Vec<u8>, Duration)>,
    /// Records that are refused first.
    refuse: usize,
    refusals: usize,
    fail: Option<String>,
    not_flushed: Option<String>,
}

struct Setup {
    producer: Addr<ReplayProducer>,
    broker: Arc<Mutex<Broker>>,
    done: Probe<ReplayPublished>,
    failed: Probe<PipelineFailed>,
}

impl Setup {
    /// Waits for nothing, so a test may have several.
    fn new(file: impl Into<Vec<u8>>) -> Self {
        Self::over(Box::new(Cursor::new(file.into())), ReplayRate::Max, Broker::default())
    }

    fn with(lines: Box<dyn BufRead + Send>, rate: ReplayRate, broker: Broker) -> Self {
        tokio::time::pause();
        Self::over(lines, rate, broker)
    }

    fn over(lines: Box<dyn BufRead + Send>, rate: ReplayRate, broker: Broker) -> Self {
        let begin = Instant::now();
        let broker = Arc::new(Mutex::new(broker));
        let (to, of) = (broker.clone(), broker.clone());
        let publish: PublishTo = Box::new(move |record| {
            let mut broker = to.lock().unwrap();
            if let Some(reason) = &broker.fail {
                return Err(PublishRefused::Failed(reason.clone()));
            }
            if broker.refuse > 0 {
                broker.refuse -= 1;
                broker.refusals += 1;
                return Err(PublishRefused::Full);
            }
            let (key, payload) = (record.key.to_vec(), record.payload.to_vec());
            broker.records.push((record.topic.to_owned(), key, payload, begin.elapsed()));
            Ok(())
        });
        let flush: FlushAll = Box::new(move || of.lock().unwrap().not_flushed.clone().map_or(Ok(()), Err));
        let settings = load(&Sources::default()).unwrap().settings;
        let router = Router::new(&settings.kafka, &[symbol("AAPL"), symbol("MSFT")]).unwrap();
        let ((done, done_probe), (failed, failed_probe)) = (probe(), probe());
        let outputs = ReplayOutputs { publish, flush, router, done, failed };
        let producer = ReplayProducer::new(lines, rate, outputs).start();
        Self { producer, broker, done: done_probe, failed: failed_probe }
    }

    fn payloads(&self) -> Vec<String> {
        let broker = self.broker.lock().unwrap();
        broker.records.iter().map(|(_, _, payload, _)| String::from_utf8_lossy(payload).into_owned()).collect()
    }

    async fn report(&mut self) -> ReplayedFile {
        self.done.next().await.0.unwrap();
        self.producer.send(StopReplay).await.unwrap()
    }
}

/// A file of ticks and nothing else that was published to its end.
fn whole(published: u64, skipped: u64) -> ReplayedFile {
    ReplayedFile { published, skipped, complete: true, ..ReplayedFile::default() }
}

fn line(name: &str, seconds: i64) -> String {
    format!("{},{name},1", minute(0).micros() + seconds * 1_000_000)
}

#[actix::test]
async fn lines_are_published_raw_and_in_order_each_to_its_stock() {
    let lines = [line("AAPL", 0), line("MSFT", 1), "not a tick".into(), line("IBM", 2), "1,AAPL,-5".into()];
    let mut setup = Setup::new(lines.join("\n"));
    let malformed_lines =
        [(3, Malformed::Fields), (5, Malformed::Price)].map(|(line, reason)| MalformedLine { line, reason }).to_vec();
    assert_eq!(setup.report().await, ReplayedFile { malformed_lines, ..whole(5, 0) });
    assert_eq!(setup.payloads(), lines);
    let broker = setup.broker.lock().unwrap();
    let routes: Vec<_> = broker.records.iter().map(|(topic, key, ..)| (&topic[12..], &key[..])).collect();
    let nobody: &[u8] = b"";
    assert_eq!(
        routes,
        [("AAPL", &b"AAPL"[..]), ("MSFT", b"MSFT"), ("AAPL", nobody), ("AAPL", nobody), ("AAPL", b"AAPL")],
        "what is of no stock must reach the consumer too"
    );
}

#[actix::test]
async fn a_mark_a_header_and_empty_lines_are_skipped_and_counted() {
    let file = "\u{feff}timestamp,symbol,price\r\n\r\n1,AAPL,1\r\n\n1,AAPL,2\ntimestamp,symbol,price\n";
    let mut setup = Setup::new(file);
    let report = setup.report().await;
    assert_eq!((report.published, report.skipped), (3, 3));
    assert_eq!(
        report.malformed_lines,
        [MalformedLine { line: 6, reason: Malformed::Timestamp }],
        "by the line of the file"
    );
    assert_eq!(setup.payloads(), ["1,AAPL,1", "1,AAPL,2", "timestamp,symbol,price"], "a header stands at the top only");
}

#[actix::test]
async fn an_empty_file_is_published_too() {
    assert_eq!(Setup::new("").report().await, whole(0, 0));
    assert_eq!(Setup::new("\u{feff}").report().await, whole(0, 1));
}

#[actix::test]
async fn a_long_line_is_cut_to_what_the_consumer_must_see_and_the_next_is_whole() {
    let longest = format!("1,AAPL,1{}", "0".repeat(MAX_PAYLOAD - 8));
    for start in ["", "\u{feff}", "1,AAPL,1\n"] {
        for length in [MAX_PAYLOAD + 1, MAX_PAYLOAD + 2, MAX_PAYLOAD + 3, MAX_PAYLOAD + 9, 1_000_000] {
            let long = longest.clone() + &"0".repeat(length - MAX_PAYLOAD);
            let mut setup = Setup::new(format!("{start}{long}\r\n{longest}\r\n2,AAPL,2"));
            setup.report().await;
            let payloads = setup.payloads();
            let [cut, whole, last] = &payloads[payloads.len() - 3..] else { panic!("{}", payloads.len()) };
            assert_eq!(
                (cut.len(), whole, last.as_str()),
                (MAX_PAYLOAD + 1, &longest, "2,AAPL,2"),
                "{start:?} {length}"
            );
        }
    }
}

#[actix::test]
async fn the_longest_tick_is_whole_also_behind_a_mark() {
    let longest = format!("1,AAPL,1{}", "0".repeat(MAX_PAYLOAD - 8));
    let mut setup = Setup::new(format!("\u{feff}{longest}\r\n"));
    setup.report().await;
    assert_eq!(setup.payloads(), [longest]);
}

#[actix::test]
async fn a_refused_line_is_offered_again_before_the_next() {
    let lines: Vec<String> = (0..10_000).map(|second| line("AAPL", second)).collect();
    let file = Box::new(Cursor::new(lines.join("\n").into_bytes()));
    let mut setup = Setup::with(file, ReplayRate::Max, Broker { refuse: 50, ..Broker::default() });
    assert_eq!(setup.report().await.published, 10_000);
    assert_eq!(setup.payloads(), lines, "none is lost, none doubled");
    assert_eq!(setup.broker.lock().unwrap().refusals, 50);
}

#[actix::test]
async fn at_a_rate_lines_wait_for_their_time() {
    let lines = [line("AAPL", 0), line("AAPL", 100), "broken".into(), line("MSFT", 50), line("AAPL", 300)];
    let file = Box::new(Cursor::new(lines.join("\n").into_bytes()));
    let mut setup = Setup::with(file, ReplayRate::TimesRealTime(10.0), Broker::default());
    setup.report().await;
    let times: Vec<u64> = setup.broker.lock().unwrap().records.iter().map(|record| record.3.as_secs()).collect();
    assert_eq!(times, [0, 10, 10, 10, 30], "what is broken or older has no time to wait for");
    assert_eq!(setup.payloads(), lines);
}

#[actix::test]
async fn a_tick_of_a_distant_time_is_not_waited_for_and_the_pace_goes_on() {
    let far = 90 * 86_400;
    let seconds = [0, 100, far, 200, 300, 2 * far, 2 * far + 100];
    let lines = seconds.map(|second| line("AAPL", second));
    let file = Box::new(Cursor::new(lines.join("\n").into_bytes()));
    let mut setup = Setup::with(file, ReplayRate::TimesRealTime(10.0), Broker::default());
    setup.report().await;
    let times: Vec<u64> = setup.broker.lock().unwrap().records.iter().map(|record| record.3.as_secs()).collect();
    assert_eq!(times, [0, 10, 10, 10, 20, 20, 30], "a wrong time, and a hole in the file");
}

#[actix::test]
async fn records_that_were_not_acknowledged_are_reported() {
    let broker = Broker { not_flushed: Some("3 records are missing".into()), ..Broker::default() };
    let mut setup = Setup::with(Box::new(Cursor::new(b"1,AAPL,1".to_vec())), ReplayRate::Max, broker);
    assert_eq!(setup.done.next().await.0, Err("3 records are missing".into()));
    let file = setup.producer.send(StopReplay).await.unwrap();
    assert_eq!((file.published, file.complete), (1, false));
}

#[actix::test]
async fn what_cannot_be_published_fails_the_run_by_the_number_of_the_line() {
    let broker = Broker { fail: Some("no such topic".into()), ..Broker::default() };
    let mut setup = Setup::with(Box::new(Cursor::new(b"\n1,AAPL,1".to_vec())), ReplayRate::Max, broker);
    let PipelineFailed(reason) = setup.failed.next().await;
    assert_eq!(reason, "line 2: no such topic");
    assert!(setup.done.so_far().await.is_empty());
}

#[actix::test]
async fn a_file_that_cannot_be_read_fails_the_run() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is broken"))
        }
    }
    let file = BufReader::new(Cursor::new(b"1,AAPL,1\n").chain(Broken));
    let mut setup = Setup::with(Box::new(file), ReplayRate::Max, Broker::default());
    let PipelineFailed(reason) = setup.failed.next().await;
    assert!(reason.contains("after line 1: the disk is broken"), "{reason}");
    assert!(setup.done.so_far().await.is_empty());
}

#[actix::test]
async fn to_stop_is_heard_between_bursts() {
    let file = Box::new(Cursor::new("1,AAPL,1\n".repeat(100_000).into_bytes()));
    let mut setup = Setup::with(file, ReplayRate::Max, Broker::default());
    while setup.payloads().is_empty() {
        tokio::task::yield_now().await;
    }
    let file = setup.producer.send(StopReplay).await.unwrap();
    let published = setup.payloads().len();
    assert_eq!((file.published, file.complete), (published as u64, false));
    assert!(published <= 3 * BURST, "{published}");
    all_done().await;
    assert_eq!(setup.payloads().len(), published);
    assert!(setup.done.so_far().await.is_empty(), "it is not published to its end");
}

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;

use super::*;
use crate::kafka::dead_letters::{DeadLetter, DeadLetters};
use crate::kafka::testing::settings;
use crate::market::checkpoint::{NextOffset, TopicPartition};

const PRODUCE: i16 = 0;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;

const NOT_LEADER: i16 = 6;
const UNSUPPORTED_VERSION: i16 = 35;

const OTHER_TOPICS: i32 = 10_000;

/// A broker, number 1, that takes records after it has refused some, and once in between says that there are no brokers.
struct Broker {
    topic: String,
    port: u16,
    refusals_left: AtomicUsize,
    knows_no_broker: AtomicBool,
    has_known_none: AtomicBool,
}

impl Broker {
    fn start(topic: &str) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let broker = Arc::new(Self {
            topic: topic.to_owned(),
            port: listener.local_addr().unwrap().port(),
            refusals_left: AtomicUsize::new(1),
            knows_no_broker: AtomicBool::new(false),
            has_known_none: AtomicBool::new(false),
        });
        let shared = Arc::clone(&broker);
        // Ends with the test's process.
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (broker, connection) = (Arc::clone(&shared), connection.unwrap());
                thread::spawn(move || broker.serve(connection));
            }
        });
        broker
    }

    /// Until the client goes.
    fn serve(&self, mut connection: TcpStream) -> io::Result<()> {
        loop {
            let mut size = [0; 4];
            connection.read_exact(&mut size)?;
            let mut request = vec![0; usize::try_from(i32::from_be_bytes(size)).unwrap()];
            connection.read_exact(&mut request)?;
            let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
            let (kind, version, correlation) = (number(0), number(2), &request[4..8]);
            let answer = Answer::default().bytes(correlation);
            let answer = match kind {
                API_VERSIONS => Self::versions(answer, version),
                METADATA => self.metadata(answer),
                PRODUCE => self.taken(answer),
                other => panic!("nobody said that this is understood: {other}"),
            };
            connection.write_all(&i32::try_from(answer.0.len()).unwrap().to_be_bytes())?;
            connection.write_all(&answer.0)?;
        }
    }

    fn versions(answer: Answer, asked: i16) -> Answer {
        let error = if asked > 0 { UNSUPPORTED_VERSION } else { 0 };
        let highest = [(PRODUCE, 7), (METADATA, 1), (API_VERSIONS, 0)];
        let answer = answer.i16(error).i32(3);
        highest.into_iter().fold(answer, |answer, (kind, version)| answer.i16(kind).i16(0).i16(version))
    }

    fn metadata(&self, answer: Answer) -> Answer {
        let knows_none = self.knows_no_broker.swap(false, Ordering::SeqCst);
        self.has_known_none.fetch_or(knows_none, Ordering::SeqCst);
        let (answer, leader) = match knows_none {
            true => (answer.i32(0), -1),
            false => (answer.i32(1).i32(1).text("127.0.0.1").i32(self.port.into()).i16(-1), 1),
        };
        // What takes the client some time to read, so that it has dropped all brokers before it is through.
        let others = if knows_none { OTHER_TOPICS } else { 0 };
        let answer = answer.i32(leader).i32(1 + others);
        let answer = answer.i16(0).text(&self.topic).bytes(&[0]);
        let answer = answer.i32(1).i16(0).i32(0).i32(leader).i32(1).i32(1).i32(1).i32(1);
        (0..others).fold(answer, |answer, other| answer.i16(0).text(&format!("{other:0200}")).bytes(&[0]).i32(0))
    }

    fn taken(&self, answer: Answer) -> Answer {
        let less_one = |left: usize| left.checked_sub(1);
        let refused = self.refusals_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less_one).is_ok();
        if refused {
            self.knows_no_broker.store(true, Ordering::SeqCst);
        }
        let answer = answer.i32(1).text(&self.topic).i32(1).i32(0).i16(if refused { NOT_LEADER } else { 0 });
        answer.i64(0).i64(-1).i64(0).i32(0)
    }
}

/// The bytes of an answer.
#[derive(Default)]
struct Answer(Vec<u8>);

impl Answer {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn i16(self, number: i16) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn i32(self, number: i32) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn i64(self, number: i64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn text(self, text: &str) -> Self {
        self.i16(i16::try_from(text.len()).unwrap()).bytes(text.as_bytes())
    }
}

#[test]
fn a_client_that_was_told_of_no_brokers_finds_them_again() {
    let settings = settings();
    let broker = Broker::start(&settings.dead_letter_topic);
    let letters = DeadLetters::connect(&settings, &format!("127.0.0.1:{}", broker.port)).unwrap();
    let partition = TopicPartition::new("t", 0);
    letters.send(&DeadLetter::new("late", &partition, 7, b"tick")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !letters.settled(&partition, NextOffset(8)) {
        assert!(Instant::now() < deadline, "the letter never arrived");
        thread::sleep(Duration::from_millis(10));
    }
    assert!(broker.has_known_none.load(Ordering::SeqCst));
}

#[test]
fn a_client_is_told_its_servers_once_in_a_while_and_not_without_a_reason() {
    let lost = LostBrokers::default();
    lost.heard(Some(RDKafkaErrorCode::BrokerTransportFailure));
    assert!(!lost.may_be_lost.load(Ordering::Relaxed));
    lost.heard(Some(RDKafkaErrorCode::AllBrokersDown));
    assert!(lost.may_be_lost.load(Ordering::Relaxed));
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let told: Vec<u64> = (0..300).filter(|second| lost.is_due(at(*second))).collect();
    assert_eq!(told, [0, 10, 30, 70, 130, 190, 250], "in one outage");
    let told: Vec<u64> = (400..420).filter(|second| lost.is_due(at(*second))).collect();
    assert_eq!(told, [400, 410], "in the next");
}

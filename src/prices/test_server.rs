//! A local HTTP server for tests: one reply a connection, in order.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What one connection gets.
pub enum Reply {
    /// A whole answer.
    Http { status: u16, body: String },
    /// These bytes, then the end of the connection.
    Raw(Vec<u8>),
    /// Nothing, on a connection that stays open.
    Never,
}

impl Reply {
    pub fn http(status: u16, body: &str) -> Self {
        Reply::Http { status, body: body.to_owned() }
    }

    fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Reply::Http { status, body } => {
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                Some((head + &body).into_bytes())
            }
            Reply::Raw(bytes) => Some(bytes),
            Reply::Never => None,
        }
    }
}

pub struct TestServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl TestServer {
    /// Serves `replies.len()` connections, then no more.
    pub fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            let mut unanswered = Vec::new();
            for reply in replies {
                let Ok((mut connection, _)) = listener.accept() else { return };
                seen.lock().unwrap().push(head_of(&mut connection));
                match reply.into_bytes() {
                    // the client may hang up first, as it should on an endless answer
                    Some(bytes) => drop(connection.write_all(&bytes)),
                    None => unanswered.push(connection),
                }
            }
        });
        Self { address, requests }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads up to the blank line that ends a request without a body.
fn head_of(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(connection.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

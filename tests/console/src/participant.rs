//! A participant that answers what the test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What is answered to a call: the status and the body.
type Answers = Box<dyn Fn(&str, &str) -> (u16, String) + Send>;

/// One on a port of its own.
#[derive(Clone)]
pub struct Participant {
    port: u16,
    answers: Arc<Mutex<Answers>>,
}

impl Participant {
    /// One that answers 200 to everything.
    ///
    /// # Panics
    /// There is no port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let answers: Answers = Box::new(|_, _| (200, "{}".to_owned()));
        let it = Self { port, answers: Arc::new(Mutex::new(answers)) };
        let answers = Arc::clone(&it.answers);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answers = Arc::clone(&answers);
                thread::spawn(move || serve(&stream, &answers));
            }
        });
        it
    }

    /// Its `host:port`.
    #[must_use]
    pub fn host_port(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its URL for this path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host_port())
    }

    /// From here on it answers what this says of the call and the gid.
    pub fn answer(&self, answers: impl Fn(&str, &str) -> (u16, String) + Send + 'static) {
        *self.answers.lock().expect("nobody panics with it") = Box::new(answers);
    }
}

fn serve(stream: &TcpStream, answers: &Mutex<Answers>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut op, mut gid) = (0, String::new(), String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim();
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok()?,
                "tercet-op" => value.clone_into(&mut op),
                "tercet-gid" => value.clone_into(&mut gid),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (status, text) = answers.lock().expect("nobody panics with it")(&op, &gid);
        let length = text.len();
        let head = format!(
            "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        let mut writer = stream;
        writer.write_all(format!("{head}{text}").as_bytes()).ok()?;
    }
}

//! What lies between a node and its database server, and loses the connection when it hurts most:
//! just before the server is told to commit, or when it has committed and has not been heard.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a batch begins with, and a commit as it goes over the wire: PostgreSQL's simple query, and
/// MySQL's command.
const FENCES: [&[u8]; 2] =
    [b"WITH gone AS (DELETE FROM node_batches", b"UPDATE nodes SET batch_no"];
const COMMITS: [&[u8]; 2] = [b"Q\0\0\0\x0bCOMMIT\0", b"\x07\0\0\0\x03COMMIT"];

/// Of so many batches' commits one is not passed on, and the answer to another is not.
const ONE_IN: usize = 4;

/// It passes everything on but some commits of batches. It ends when this is dropped.
pub(crate) struct Cutter {
    address: SocketAddr,
    cut: Arc<Cut>,
    listening: JoinHandle<()>,
}

/// How many commits there were, and what became of them.
#[derive(Debug, Default)]
struct Cut {
    commits: AtomicUsize,
    before: AtomicUsize,
    after: AtomicUsize,
}

impl Cutter {
    /// One before the server of this URL; and the URL that leads through it.
    pub(crate) async fn before(database_url: &str) -> (Self, String) {
        let (scheme, rest) = database_url.split_once("://").expect("a URL");
        let (user, rest) = rest.split_once('@').expect("a user");
        let (server, path) = rest.split_once('/').expect("a database");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let cut = Arc::new(Cut::default());
        let (server, counted) = (server.to_owned(), Arc::clone(&cut));
        let listening = tokio::spawn(async move {
            while let Ok((node, _)) = listener.accept().await {
                let (server, cut) = (server.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    // A connection that is lost is what this is about.
                    if let Ok(server) = TcpStream::connect(server).await {
                        let _ = pass(node, server, &cut).await;
                    }
                });
            }
        });
        let through = format!("{scheme}://{user}@{address}/{path}");
        (Self { address, cut, listening }, through)
    }

    /// How many commits did not reach the server, and of how many the answer did not come back.
    pub(crate) fn cut(&self) -> [usize; 2] {
        [&self.cut.before, &self.cut.after].map(|count| count.load(Ordering::Relaxed))
    }
}

impl std::fmt::Debug for Cutter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {:?}", self.address, self.cut)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Passes everything on, until one side ends or the connection is cut.
async fn pass(mut node: TcpStream, mut server: TcpStream, cut: &Cut) -> io::Result<()> {
    for stream in [&node, &server] {
        stream.set_nodelay(true)?;
    }
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut in_batch = false;
    loop {
        tokio::select! {
            read = node.read(&mut asked) => {
                let message = &asked[..read?];
                if message.is_empty() {
                    return Ok(());
                }
                in_batch |= FENCES.iter().any(|fence| contains(message, fence));
                let commits = in_batch && COMMITS.iter().any(|commit| contains(message, commit));
                let place = if commits { cut.commits.fetch_add(1, Ordering::Relaxed) } else { 0 };
                if commits {
                    in_batch = false;
                }
                if commits && place % ONE_IN == 1 {
                    cut.before.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                server.write_all(message).await?;
                if commits && place % ONE_IN == 3 {
                    // It is done when the server says so.
                    let _unheard = server.read(&mut answered).await?;
                    cut.after.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
            }
            read = server.read(&mut answered) => {
                let message = &answered[..read?];
                if message.is_empty() {
                    return Ok(());
                }
                node.write_all(message).await?;
            }
        }
    }
}

fn contains(message: &[u8], part: &[u8]) -> bool {
    message.windows(part.len()).any(|window| window == part)
}

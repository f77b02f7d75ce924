//! Strangers: transactions of others whose participants misbehave. What is measured is what the
//! honest load feels of them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::error::ChaosError;
use crate::load::{End, Initiator};
use crate::tool::words;

/// Where the coordinator asks for names.
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
/// An address that swallows what is sent to it, and one at which somebody is.
const DEAD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const WELL: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 12);
/// The name that has both, the dead one first.
const TWO_ADDRESSES: &str = "two.chaos.test";
/// Transactions begun at a time, and the pause of each until the next.
const AT_ONCE: usize = 8;
const PAUSE: Duration = Duration::from_millis(20);

/// How the strangers' participants misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mischief {
    /// They answer `103 Early Hints` without end.
    EndlessInterim,
    /// Nobody says whether their names are there.
    SilentNames,
    /// The first of their two addresses swallows what is sent to it.
    DeadAddress,
}

/// Strangers that begin transactions until they are stopped. They end with this value.
#[derive(Debug)]
pub(crate) struct Strangers {
    mischief: Mischief,
    begun: Arc<AtomicUsize>,
    healed: Arc<AtomicBool>,
    beginning: JoinSet<()>,
    _participants: JoinSet<()>,
    _dead: Vec<TcpStream>,
}

impl Strangers {
    /// Starts their participants, and their transactions.
    pub(crate) async fn start(mischief: Mischief, by: Initiator) -> Result<Self, ChaosError> {
        let well = TcpListener::bind((WELL, 0)).await;
        let well = well.map_err(ChaosError::io("listen for strangers"))?;
        let port = well.local_addr().map_err(ChaosError::io("listen for strangers"))?.port();
        let (begun, healed) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let mut participants = JoinSet::new();
        let mut dead = Vec::new();
        if mischief != Mischief::EndlessInterim {
            let socket = UdpSocket::bind((NAME_SERVER, 53)).await;
            let socket = socket.map_err(ChaosError::io("answer for names"))?;
            participants.spawn(name_server(socket, Arc::clone(&healed)));
        }
        if mischief == Mischief::DeadAddress {
            let (listener, held) = swallow(SocketAddr::from((DEAD, port))).await?;
            participants.spawn(async move {
                let _listening = listener;
                std::future::pending::<()>().await;
            });
            dead = held;
        }
        let endless = mischief == Mischief::EndlessInterim;
        participants.spawn(accept(well, endless, Arc::clone(&healed)));
        let mut beginning = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (by, begun) = (by.clone(), Arc::clone(&begun));
            beginning.spawn(async move {
                loop {
                    let number = begun.fetch_add(1, Ordering::Relaxed);
                    let host = match mischief {
                        Mischief::EndlessInterim => WELL.to_string(),
                        Mischief::SilentNames => format!("silent-{number}.chaos.test"),
                        Mischief::DeadAddress => TWO_ADDRESSES.to_owned(),
                    };
                    let body = json!({
                        "gid": gid(number), "timeout_ms": 3_000,
                        "branches": [{ "id": "b", "endpoint": format!("http://{host}:{port}/s"),
                                       "timeout_ms": 1_000 }],
                    });
                    // One that is refused is missed when all are counted.
                    let _ = by.hand_over(&body.to_string()).await;
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        let (_participants, _dead) = (participants, dead);
        Ok(Self { mischief, begun, healed, beginning, _participants, _dead })
    }

    /// No more are begun, and their participants are as they should be.
    pub(crate) async fn heal(&mut self) {
        self.beginning.shutdown().await;
        self.healed.store(true, Ordering::Relaxed);
    }

    /// What became of them, once all are finished, and whether it is wrong: a second address that
    /// answers is as good as a first.
    pub(crate) async fn judge(&self, by: &Initiator) -> Result<(String, bool), ChaosError> {
        let (mut known, mut confirmed) = (0, 0);
        for number in 0..self.begun.load(Ordering::Relaxed) {
            // One may have been stopped before it was begun.
            let Some(told) = by.look(&gid(number)).await? else { continue };
            known += 1;
            confirmed += usize::from(told.status.decision() == Some(End::Confirmed));
        }
        let wrong = known == 0 || (self.mischief == Mischief::DeadAddress && confirmed < known);
        Ok((format!("{known} transactions of strangers, {confirmed} confirmed"), wrong))
    }
}

fn gid(number: usize) -> String {
    format!("stranger-{number}")
}

/// A command line that runs with these names, and no others, in a file system view of its own.
pub(crate) fn with_own_names(
    command: Vec<String>,
    directory: &Path,
) -> Result<Vec<String>, ChaosError> {
    let write = |name: &str, text: String| {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(ChaosError::io(format!("write {name}")))?;
        Ok::<_, ChaosError>(path.display().to_string())
    };
    let resolv_conf = write("resolv.conf", format!("nameserver {NAME_SERVER}\n"))?;
    let hosts = write("hosts", "127.0.0.1 localhost\n".to_owned())?;
    let script = format!(
        "mount --bind {resolv_conf} /etc/resolv.conf && mount --bind {hosts} /etc/hosts && exec \"$@\""
    );
    let mut own = words(["unshare", "-m", "sh", "-c", &script, "sh"]);
    own.extend(command);
    Ok(own)
}

/// A listener that accepts nobody, whose backlog is full: the kernel drops what comes after.
async fn swallow(at: SocketAddr) -> Result<(TcpListener, Vec<TcpStream>), ChaosError> {
    let failed = || ChaosError::io("take an address");
    let socket = TcpSocket::new_v4().map_err(failed())?;
    socket.bind(at).map_err(failed())?;
    let listener = socket.listen(1).map_err(failed())?;
    let mut held = Vec::new();
    let patience = Duration::from_millis(500);
    while let Ok(Ok(stream)) = tokio::time::timeout(patience, TcpStream::connect(at)).await {
        held.push(stream);
    }
    Ok((listener, held))
}

async fn accept(listener: TcpListener, endless: bool, healed: Arc<AtomicBool>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let healed = Arc::clone(&healed);
        connections.spawn(async move {
            // A connection that breaks is the other side's affair.
            let _ = answer(stream, endless, &healed).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Answers each request with 200; or the first without end.
async fn answer(mut stream: TcpStream, endless: bool, healed: &AtomicBool) -> std::io::Result<()> {
    let hints = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(1_000);
    let mut heard = Vec::new();
    loop {
        // The body of each is {}.
        while !heard.ends_with(b"\r\n\r\n{}") {
            if stream.read_buf(&mut heard).await? == 0 {
                return Ok(());
            }
        }
        heard.clear();
        while endless && !healed.load(Ordering::Relaxed) {
            stream.write_all(&hints).await?;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    }
}

/// Answers for [`TWO_ADDRESSES`]; for all other names once all is well. Source: RFC 1035, 4.
async fn name_server(socket: UdpSocket, healed: Arc<AtomicBool>) {
    let mut heard = [0; 512];
    while let Ok((len, from)) = socket.recv_from(&mut heard).await {
        let question = &heard[..len];
        let Some((name, end)) = name(question) else { continue };
        let addresses: &[Ipv4Addr] = match name == TWO_ADDRESSES {
            true => &[DEAD, WELL],
            false if healed.load(Ordering::Relaxed) => &[WELL],
            false => continue,
        };
        let is_of_four = question.get(end..end + 2) == Some(&[0, 1]);
        let addresses = if is_of_four { addresses } else { &[] };
        let mut answer = question[..2].to_vec();
        answer.extend([0x85, 0x80, 0, 1, 0, u8::try_from(addresses.len()).unwrap_or(0)]);
        answer.extend([0, 0, 0, 0]);
        answer.extend(question.get(12..end + 4).unwrap_or_default());
        for address in addresses {
            // The name again, an address of the internet, for one second.
            answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
            answer.extend(address.octets());
        }
        // Whoever is gone asks again.
        let _ = socket.send_to(&answer, from).await;
    }
}

/// The name that is asked for, and where it ends.
fn name(question: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let len = usize::from(*question.get(at)?);
        at += 1;
        if len == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(question.get(at..at + len)?).to_lowercase());
        at += len;
    }
}

/// Whether this machine lets us give the coordinator names of its own.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|about| {
        use std::os::unix::fs::MetadataExt as _;
        about.uid() == 0
    })
}

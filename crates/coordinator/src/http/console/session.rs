//! A session: who has signed in, sealed into a cookie that only nodes on the same database can open,
//! so that nothing is kept of it anywhere else.
//!
//! What a session says is that somebody has shown a token; whether that counts still, and for what, is
//! asked anew at each request (`access`). Whoever has not signed in has one too, by which forms are known
//! to come from pages of ours.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use sha2::{Digest as _, Sha256};
use tercet_clock::Clock;
use tercet_wire::{Wall, hex};

use crate::access::Kept;
use crate::http::extract::peer::Door;

/// How long one holds.
const HOLDS: Duration = Duration::from_secs(12 * 3_600);
/// How browsers know it begins. A browser has one jar for all ports of a host, so what follows tells the
/// daemons of one database from all others there.
const NAME: &str = "tercet-console";
/// Before that, of one that is sent over TLS alone: then nothing else can set it.
const SECURE: &str = "__Secure-";
/// Bytes of what follows.
const NAME_BYTES: usize = 6;
/// The most bytes a browser keeps of a cookie, its name and attributes among them.
const MAX_COOKIE: usize = 3_900;
/// Of its random id.
const ID_BYTES: usize = 16;
/// Before it: the version, and until when it holds.
const HEAD_BYTES: usize = 1 + 8;
const VERSION: u8 = 1;

/// What sessions are sealed with, and forms are signed with.
pub(super) struct Keys {
    seal: LessSafeKey,
    forms: hmac::Key,
    /// The cookie's: the same at every node, whatever name or port it is reached by.
    name: String,
}

impl Keys {
    /// Made of the secret that all share who use the database.
    pub(super) fn of(secret: &str) -> Option<Self> {
        let derived = |purpose: &str| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            hmac::sign(&key, purpose.as_bytes())
        };
        let seal = UnboundKey::new(&CHACHA20_POLY1305, derived("console session 1").as_ref());
        let forms = hmac::Key::new(hmac::HMAC_SHA256, derived("console form 1").as_ref());
        let own = hex(&derived("console cookie 1").as_ref()[..NAME_BYTES]);
        let name = format!("{NAME}-{own}");
        Some(Self { seal: LessSafeKey::new(seal.ok()?), forms, name })
    }

    fn name_at(&self, door: Door) -> String {
        let secure = if door.has_tls { SECURE } else { "" };
        format!("{secure}{}", self.name)
    }
}

/// One.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    id: [u8; ID_BYTES],
    until: Wall,
    /// Of the token that was shown; none of somebody who has shown none.
    pub(super) kept: Option<Kept>,
}

impl Session {
    /// A new one.
    pub(super) fn begin(kept: Option<Kept>, clock: &dyn Clock) -> Self {
        let random: [u8; 32] = random(clock);
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&random[..ID_BYTES]);
        Self { id, until: clock.now().wall.after(HOLDS), kept }
    }

    /// The one that a request came with, if it holds still.
    pub(super) fn of(headers: &HeaderMap, door: Door, keys: &Keys, now: Wall) -> Option<Self> {
        let wanted = keys.name_at(door);
        let cookies = headers.get_all(header::COOKIE).iter();
        let pairs = cookies.filter_map(|cookie| cookie.to_str().ok());
        let pairs = pairs.flat_map(|cookie| cookie.split(';'));
        let mut sealed = pairs.filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == wanted).then_some(value)
        });
        sealed.find_map(|sealed| Self::open(sealed, keys)).filter(|session| now < session.until)
    }

    /// What a form of this session must have.
    pub(super) fn form_token(&self, keys: &Keys) -> String {
        hex(hmac::sign(&keys.forms, &self.id).as_ref())
    }

    /// Whether a form has it.
    pub(super) fn has_sent(&self, token: &str, keys: &Keys) -> bool {
        let sent = tercet_wire::unhex(token);
        sent.is_some_and(|sent| hmac::verify(&keys.forms, &self.id, &sent).is_ok())
    }

    /// The header that gives it to a browser; none if it is longer than browsers keep, or others
    /// could read on the way what it stands for.
    pub(super) fn cookie(&self, door: Door, keys: &Keys, clock: &dyn Clock) -> Option<HeaderValue> {
        if self.kept.is_some() && !keeps_to_itself(door) {
            return None;
        }
        let sealed = self.seal(keys, clock)?;
        let holds = self.until.since(clock.now().wall).as_secs();
        let text = cookie_text(&sealed, holds, door, keys);
        if text.len() > MAX_COOKIE {
            return None;
        }
        HeaderValue::try_from(text).ok()
    }

    fn seal(&self, keys: &Keys, clock: &dyn Clock) -> Option<String> {
        let mut text = vec![VERSION];
        text.extend(self.until.0.to_be_bytes());
        text.extend(self.id);
        text.extend(self.kept.iter().flat_map(Kept::to_bytes));
        let random: [u8; 32] = random(clock);
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&random[..NONCE_LEN]);
        let sealed = keys.seal.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(NAME),
            &mut text,
        );
        sealed.ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode([&nonce[..], &text].concat()))
    }

    fn open(sealed: &str, keys: &Keys) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text = keys.seal.open_in_place(nonce, Aad::from(NAME), &mut text).ok()?;
        let (head, rest) = text.split_first_chunk::<HEAD_BYTES>()?;
        let (version, until) = head.split_first()?;
        if *version != VERSION {
            return None;
        }
        let until = Wall(i64::from_be_bytes(until.try_into().ok()?));
        let (id, kept) = rest.split_first_chunk::<ID_BYTES>()?;
        let kept = match kept.is_empty() {
            true => None,
            false => Some(Kept::of_bytes(kept)?),
        };
        Some(Self { id: *id, until, kept })
    }
}

/// The header by which a browser forgets its session.
pub(super) fn forgotten(door: Door, keys: &Keys) -> HeaderValue {
    // The text is of characters that a header may have.
    HeaderValue::try_from(cookie_text("", 0, door, keys)).unwrap_or(HeaderValue::from_static(""))
}

fn cookie_text(value: &str, holds: u64, door: Door, keys: &Keys) -> String {
    let secure = if door.has_tls { "; Secure" } else { "" };
    let name = keys.name_at(door);
    format!("{name}={value}; Path=/console; Max-Age={holds}; HttpOnly; SameSite=Strict{secure}")
}

/// Whether nobody can listen in between.
pub(super) fn keeps_to_itself(door: Door) -> bool {
    door.has_tls || door.is_on_loopback
}

/// Bytes that nobody can guess, all of them.
fn random(clock: &dyn Clock) -> [u8; 32] {
    Sha256::digest(clock.new_secret().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use tercet_clock::SystemClock;

    use super::*;
    use crate::access::TokenDigest;

    const PLAIN: Door = Door { for_probes: false, is_on_loopback: true, has_tls: false };
    const TLS: Door = Door { for_probes: false, is_on_loopback: false, has_tls: true };

    fn keys(secret: &str) -> Keys {
        Keys::of(secret).expect("keys")
    }

    fn kept() -> Option<Kept> {
        Some(Kept::Digest(TokenDigest::of(b"token")))
    }

    fn sent(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().expect("text").split(';').next().expect("a pair").to_owned();
        let mut headers = HeaderMap::new();
        let cookies = format!("other=1; {pair}; third=x=y");
        headers.insert(header::COOKIE, cookies.parse().expect("a header"));
        headers
    }

    #[test]
    fn a_session_is_read_by_whoever_has_the_secret_and_nobody_else() {
        let clock = SystemClock::start();
        let session = Session::begin(kept(), &clock);
        let now = clock.now().wall;
        let cookie = session.cookie(PLAIN, &keys("a"), &clock).expect("it is short");
        let headers = sent(&cookie);
        assert_eq!(Session::of(&headers, PLAIN, &keys("a"), now), Some(session));
        assert_eq!(Session::of(&headers, PLAIN, &keys("b"), now), None);
        assert_eq!(Session::of(&headers, TLS, &keys("a"), now), None, "it came in the clear");
    }

    #[test]
    fn a_session_of_which_one_letter_was_changed_is_none() {
        let clock = SystemClock::start();
        let (keys, session) = (keys("a"), Session::begin(kept(), &clock));
        let sealed = session.seal(&keys, &clock).expect("sealed");
        assert_eq!(Session::open(&sealed, &keys).as_ref(), Some(&session));
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("text");
            assert_eq!(Session::open(&changed, &keys), None, "letter {at}");
        }
        for sealed in ["", "A", "!", &sealed[..20]] {
            assert_eq!(Session::open(sealed, &keys), None, "{sealed}");
        }
    }

    #[test]
    fn a_session_ends_after_twelve_hours_whatever_the_browser_keeps() {
        let clock = SystemClock::start();
        let (keys, session) = (keys("a"), Session::begin(kept(), &clock));
        let headers = sent(&session.cookie(TLS, &keys, &clock).expect("it is short"));
        let at = |seconds| Wall(session.until.0).after(Duration::from_secs(seconds));
        let before = Wall(session.until.0 - 1);
        assert!(Session::of(&headers, TLS, &keys, before).is_some());
        assert_eq!(Session::of(&headers, TLS, &keys, at(0)), None);
        assert_eq!(session.until.since(clock.now().wall).as_secs().div_ceil(3_600), 12);
    }

    #[test]
    fn cookies_stay_in_the_console_and_on_the_way_that_they_came() {
        let clock = SystemClock::start();
        let (keys, session) = (keys("a"), Session::begin(None, &clock));
        for (door, ends) in [(PLAIN, "SameSite=Strict"), (TLS, "SameSite=Strict; Secure")] {
            let cookie = session.cookie(door, &keys, &clock).expect("it is short");
            let cookie = cookie.to_str().expect("text");
            assert!(cookie.ends_with(ends), "{cookie}");
            assert!(cookie.contains("; Path=/console; Max-Age=43"), "{cookie}");
            assert!(cookie.contains("; HttpOnly;"), "{cookie}");
        }
        let in_the_clear = Door { is_on_loopback: false, ..PLAIN };
        assert!(session.cookie(in_the_clear, &keys, &clock).is_some(), "it stands for nobody");
        let of_somebody = Session::begin(kept(), &clock);
        assert_eq!(of_somebody.cookie(in_the_clear, &keys, &clock), None);
    }

    #[test]
    fn a_cookie_is_named_by_the_secret_that_all_nodes_share() {
        let name = |door, secret| keys(secret).name_at(door);
        assert_eq!(name(PLAIN, "a"), name(PLAIN, "a"));
        assert_ne!(name(PLAIN, "a"), name(PLAIN, "b"));
        assert!(name(PLAIN, "a").starts_with("tercet-console-"), "{}", name(PLAIN, "a"));
        assert_eq!(name(TLS, "a"), format!("__Secure-{}", name(PLAIN, "a")));
    }

    #[test]
    fn a_token_longer_than_a_cookie_can_be_begins_no_session() {
        let clock = SystemClock::start();
        let jwt = |bytes: usize| Kept::of_bytes(&[&[2][..], &vec![b'a'; bytes]].concat());
        let cookie = |bytes| Session::begin(jwt(bytes), &clock).cookie(TLS, &keys("a"), &clock);
        assert!(cookie(2_000).is_some());
        assert!(cookie(4_000).is_none());
    }

    #[test]
    fn a_form_is_of_its_session_and_of_no_other() {
        let clock = SystemClock::start();
        let [one, other] = [Session::begin(kept(), &clock), Session::begin(kept(), &clock)];
        let keys = keys("a");
        let token = one.form_token(&keys);
        assert!(one.has_sent(&token, &keys));
        for wrong in ["", "00", &token[1..], &other.form_token(&keys)] {
            assert!(!one.has_sent(wrong, &keys), "{wrong}");
        }
    }
}

//! Until when a certificate counts.

use rustls::pki_types::CertificateDer;
use tercet_wire::Wall;

use super::names::{Elements, SEQUENCE};

/// The tag of a certificate's version, which old ones lack. Source: RFC 5280, 4.1.
const VERSION: u8 = 0xa0;
/// Tags of the two kinds of times. Source: X.690, 8.
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The moment after which it counts no more; none of one that cannot be read.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<Wall> {
    let (_, whole) = Elements(certificate).next()?;
    let (_, signed) = Elements(whole).next()?;
    // Serial number, algorithm, issuer, and then: from when until when.
    let mut parts = Elements(signed).filter(|(tag, _)| *tag != VERSION);
    let (tag, validity) = parts.nth(3)?;
    let (kind, text) = Elements(validity).nth(1)?;
    (tag == SEQUENCE).then(|| moment(kind, text))?
}

/// `YYMMDDHHMMSSZ`, or with the century. Source: RFC 5280, 4.1.2.5.
fn moment(kind: u8, text: &[u8]) -> Option<Wall> {
    let text = str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let (century, rest) = match kind {
        UTC_TIME => (if text.get(..2)? < "50" { "20" } else { "19" }, text),
        GENERALIZED_TIME => text.split_at_checked(2)?,
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2);
    let (year, month, day) = (part(0)?, part(2)?, part(4)?);
    let (hour, minute, second) = (part(6)?, part(8)?, part(10)?);
    let is_whole = rest.get(12..) == Some("Z");
    let written = format!("{century}{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    if is_whole { written.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;
    use tercet_testing::Authority;

    use super::*;

    #[test]
    fn a_certificate_ends_when_it_was_said_to() {
        let authority = Authority::new();
        let issued = authority.issue("orders", &[]);
        let der = CertificateDer::from_pem_slice(issued.cert.as_bytes()).expect("a certificate");
        let ends = not_after(&der).expect("an end");
        assert_eq!(ends.to_string(), "4096-01-01T00:00:00.000Z");
        for length in 0..der.len().min(200) {
            let _ = not_after(&CertificateDer::from(&der[..length]));
        }
        assert_eq!(not_after(&CertificateDer::from(&der[..100])), None);
    }

    #[test]
    fn both_kinds_of_times_are_read() {
        for (kind, text, expected) in [
            (UTC_TIME, "261130120000Z", Some("2026-11-30T12:00:00.000Z")),
            (UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59.000Z")),
            (UTC_TIME, "700101000001Z", Some("1970-01-01T00:00:01.000Z")),
            (GENERALIZED_TIME, "20500101000000Z", Some("2050-01-01T00:00:00.000Z")),
            (GENERALIZED_TIME, "20500101000000", None),
            (UTC_TIME, "261330120000Z", None),
            (UTC_TIME, "2611301200Z", None),
            (0x04, "261130120000Z", None),
            (UTC_TIME, "", None),
        ] {
            let found = moment(kind, text.as_bytes()).map(|at| at.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}

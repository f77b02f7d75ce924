//! The names that a certificate gives to whoever has it: the URIs among its alternative names, then the
//! hosts among them, then its common names. Looked at is only what an authority has
//! signed, and nothing in it can be longer than a certificate.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The object identifier of a common name: 2.5.4.3. Source: X.520, 6.2.2.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Tags of what is used here. Source: X.690, 8.
pub(super) const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const IA5: u8 = 0x16;

/// All of them; none of a certificate that cannot be read.
pub(crate) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(read) = EndEntityCert::try_from(certificate) else { return Vec::new() };
    let hosts = read.valid_dns_names().map(str::to_owned);
    let uris = read.valid_uri_names().map(str::to_owned);
    uris.chain(hosts).chain(common_names(read.subject())).collect()
}

/// Those in a subject's distinguished name, which is a sequence of sets of attributes.
fn common_names(subject: &[u8]) -> Vec<String> {
    let attributes = Elements(subject).filter(|(tag, _)| *tag == SET);
    let attributes = attributes.flat_map(|(_, set)| Elements(set));
    attributes.filter_map(|(tag, of_one)| (tag == SEQUENCE).then(|| common_name(of_one))?).collect()
}

fn common_name(attribute: &[u8]) -> Option<String> {
    let mut parts = Elements(attribute);
    let (tag, kind) = parts.next()?;
    let (text, value) = parts.next()?;
    let is_one = tag == OBJECT_IDENTIFIER && kind == COMMON_NAME;
    let is_text = matches!(text, UTF8 | PRINTABLE | IA5);
    (is_one && is_text).then(|| String::from_utf8(value.to_vec()).ok())?
}

/// What stands one behind the other in DER: tags and contents. It ends at what cannot be read.
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81 => {
                let (&[length], rest) = rest.split_first_chunk::<1>()?;
                (usize::from(length), rest)
            }
            0x82 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

#[cfg(test)]
mod tests {
    use tercet_testing::Authority;

    use super::*;

    fn der(pem: &str) -> CertificateDer<'static> {
        use rustls::pki_types::pem::PemObject as _;
        CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
    }

    #[test]
    fn a_certificate_has_the_names_it_was_issued_for() {
        let authority = Authority::new();
        let long = "n".repeat(200);
        for (common, alternative, expected) in [
            ("orders", &[][..], &["orders"][..]),
            ("zoë", &["a.internal"], &["a.internal", "zoë"]),
            (
                "c",
                &["a.internal", "spiffe://x/orders", "b.internal", "127.0.0.1"],
                &["spiffe://x/orders", "a.internal", "b.internal", "c"],
            ),
            (&long, &[], &[&long]),
        ] {
            let issued = authority.issue(common, alternative);
            assert_eq!(names(&der(&issued.cert)), expected, "{common}");
        }
    }

    #[test]
    fn what_is_cut_off_or_nonsense_has_no_names() {
        assert_eq!(names(&CertificateDer::from(vec![0x30, 0x82])), [""; 0]);
        let one = [&[SET, 12, SEQUENCE, 10, 6, 3][..], COMMON_NAME, &[UTF8, 3], b"abc"].concat();
        assert_eq!(common_names(&one), ["abc"]);
        for length in 0..one.len() {
            assert_eq!(common_names(&one[..length]), [""; 0], "{length}");
        }
        let other = one.iter().map(|byte| if *byte == 0x55 { 0x56 } else { *byte });
        assert_eq!(common_names(&other.collect::<Vec<_>>()), [""; 0], "another attribute");
        for length in [0x80, 0x83, 0x84, 0xff] {
            assert_eq!(Elements(&[SET, length, 0, 0, 0, 0]).count(), 0, "{length:x}");
        }
    }
}

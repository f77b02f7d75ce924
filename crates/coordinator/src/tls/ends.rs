//! When certificates end.

use rustls::pki_types::CertificateDer;
use tercet_wire::Wall;

use super::files::Loaded;
use super::names::{Elements, SEQUENCE};

/// Tags of moments, and of a version. Source: X.690, 8.
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

impl Loaded {
    /// When the first of its certificates ends, its authorities' among them; none where there is none.
    pub(crate) fn first_end(&self) -> Option<Wall> {
        let chain = self.identity.iter().flat_map(|identity| &identity.chain);
        let authorities = self.authorities.iter().flat_map(|(_, certificates)| certificates);
        chain.chain(authorities).filter_map(end).min()
    }
}

/// When a certificate ends; none of one that cannot be read. Source: RFC 5280, 4.1.
fn end(certificate: &CertificateDer<'_>) -> Option<Wall> {
    let (_, whole) = Elements(certificate).next()?;
    let (_, to_be_signed) = Elements(whole).next()?;
    let mut fields = Elements(to_be_signed).filter(|(tag, _)| *tag != VERSION);
    // Behind its serial number, its algorithm and its issuer.
    let (tag, validity) = fields.nth(3)?;
    let (kind, moment) = Elements(validity).nth(1).filter(|_| tag == SEQUENCE)?;
    let moment = std::str::from_utf8(moment).ok()?.strip_suffix('Z')?;
    let moment = match kind {
        // Years of two digits are those from 1950 on.
        UTC_TIME if moment.get(..2)? >= "50" => format!("19{moment}"),
        UTC_TIME => format!("20{moment}"),
        GENERALIZED_TIME => moment.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| moment.get(from..to);
    let date = format!("{}-{}-{}", part(0, 4)?, part(4, 6)?, part(6, 8)?);
    format!("{date}T{}:{}:{}Z", part(8, 10)?, part(10, 12)?, part(12, 14)?).parse().ok()
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;
    use tercet_testing::Authority;

    use super::*;

    #[test]
    fn a_certificate_ends_when_it_says() {
        let issued = Authority::new().issue("orders", &[]);
        let certificate = CertificateDer::from_pem_slice(issued.cert.as_bytes()).expect("one");
        // What its maker gives where nothing is said.
        assert_eq!(
            end(&certificate).map(|end| end.to_string()).as_deref(),
            Some("4096-01-01T00:00:00.000Z")
        );
        assert_eq!(end(&CertificateDer::from(certificate[..80].to_vec())), None);
    }
}

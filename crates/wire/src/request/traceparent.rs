//! Trace context, so that every call of a transaction belongs to one trace, the same
//! before and after a restart. Source: W3C Trace Context, Level 2.

use std::sync::Arc;

use uuid::Uuid;

use crate::ids::Instance;

/// The one given, if it is valid; else one with the instance as its trace, not sampled.
pub(crate) fn given_or_made(given: Option<&str>, instance: Instance) -> Arc<str> {
    given.and_then(understood).unwrap_or_else(|| made(instance)).into()
}

fn made(instance: Instance) -> String {
    let mut digits = Uuid::encode_buffer();
    let trace = &*instance.uuid().simple().encode_lower(&mut digits);
    // The second half of a UUID carries its variant, so it is never the forbidden zero.
    let span = &trace[16..];
    ["00-", trace, "-", span, "-00"].concat()
}

/// In the form of version 00, as its rule for later versions asks; none if it is invalid.
fn understood(text: &str) -> Option<String> {
    let text = text.trim_ascii();
    let mut parts = text.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let named = |part: &str, len: usize| hex(part, len) && part.bytes().any(|byte| byte != b'0');
    let known_version = match version {
        "00" => parts.next().is_none(),
        "ff" => false,
        later => hex(later, 2),
    };
    let valid = known_version && named(trace, 32) && named(span, 16) && hex(flags, 2);
    // Of the flags only "sampled" is known to mean the same in every version.
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1;
    valid.then(|| format!("00-{trace}-{span}-{sampled:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_trace_goes_on_and_others_get_the_transactions_own() {
        const TRACE: &str = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
        let instance: Instance = "01938d1c-7f00-7abc-8def-0123456789ab".parse().expect("uuid");
        let own = "00-01938d1c7f007abc8def0123456789ab-8def0123456789ab-00";
        let table = [
            (Some(format!("00-{TRACE}-01")), format!("00-{TRACE}-01")),
            (Some(format!("00-{TRACE}-00")), format!("00-{TRACE}-00")),
            (Some(format!("00-{TRACE}-03")), format!("00-{TRACE}-01")),
            (Some(format!("cc-{TRACE}-01-later")), format!("00-{TRACE}-01")),
            (Some(format!("cc-{TRACE}-01")), format!("00-{TRACE}-01")),
            (Some(format!("ff-{TRACE}-01")), own.to_owned()),
            (Some(format!("00-{TRACE}-01-more")), own.to_owned()),
            (Some(format!("00-{TRACE}")), own.to_owned()),
            (Some(format!("00-{}-01", TRACE.to_uppercase())), own.to_owned()),
            (Some(format!("00-{}-b7ad6b7169203331-01", "0".repeat(32))), own.to_owned()),
            (Some(format!("00-{}-{}-01", &TRACE[..32], "0".repeat(16))), own.to_owned()),
            (Some("é".to_owned()), own.to_owned()),
            (Some(String::new()), own.to_owned()),
            (None, own.to_owned()),
        ];
        for (given, expected) in table {
            let found = given_or_made(given.as_deref(), instance);
            assert_eq!(&*found, expected, "{given:?}");
        }
    }
}

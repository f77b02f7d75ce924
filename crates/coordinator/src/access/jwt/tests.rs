//! Tokens of an issuer that is played here, right ones and those that somebody else would make.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA512, RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::json;
use sha2::Sha256;

use super::*;
use crate::access::Role;

const ISSUER: &str = "https://login.example";
const NOW: Wall = Wall(1_800_000_000_000);

/// A key that was made for these tests, by `openssl genpkey`: ring makes none for RSA.
const RSA: &[u8] = include_bytes!("rsa_of_tests.pk8");

fn base64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// One key of the issuer's.
enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::from_pkcs8(RSA).expect("a key"))
    }

    fn ec() -> Self {
        let random = SystemRandom::new();
        let by = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let made = EcdsaKeyPair::generate_pkcs8(by, &random).expect("a key");
        Self::Ec(EcdsaKeyPair::from_pkcs8(by, made.as_ref(), &random).expect("a key"))
    }

    fn ed() -> Self {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        Self::Ed(Ed25519KeyPair::from_pkcs8(made.as_ref()).expect("a key"))
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("signed");
                signature
            }
            Self::Ec(pair) => {
                pair.sign(&SystemRandom::new(), message).expect("signed").as_ref().to_vec()
            }
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The public key, as the issuer shows it.
    fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let public: RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
                json!({ "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256",
                    "n": base64(&public.n), "e": base64(&public.e) })
            }
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "kid": kid,
                    "x": base64(&point[1..33]), "y": base64(&point[33..]) })
            }
            Self::Ed(pair) => {
                let x = base64(pair.public_key().as_ref());
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "alg": "EdDSA", "x": x })
            }
        }
    }

    /// What somebody could take for a secret that both sides know.
    fn public_bytes(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Rsa(pair) => {
                let public: RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
                vec![public.n, pair.public().as_ref().to_vec()]
            }
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                vec![point.to_vec(), point[1..].to_vec()]
            }
            Self::Ed(pair) => vec![pair.public_key().as_ref().to_vec()],
        }
    }
}

fn claims() -> Value {
    let exp = NOW.0 / 1_000 + 300;
    json!({ "iss": ISSUER, "aud": "tercet", "exp": exp, "sub": "ann", "role": "client" })
}

/// A token with this header and these claims, signed somehow.
fn token(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = [header, claims].map(|part| base64(part.to_string().as_bytes())).join(".");
    let signature = base64(&sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn signed(signer: &Signer, kid: &str, claims: &Value) -> String {
    let header = json!({ "alg": signer.algorithm(), "kid": kid, "typ": "JWT" });
    token(&header, claims, |message| signer.sign(message))
}

/// Trusts these keys.
fn jwt(keys: &[Value]) -> Jwt {
    let settings = JwtSection {
        issuer: ISSUER.to_owned(),
        audience: "tercet".to_owned(),
        jwks_file: None,
        jwks_url: Some("https://login.example/keys".parse().expect("a URL")),
        role_claim: "role".to_owned(),
        name_claim: "sub".to_owned(),
    };
    let jwt = Jwt::of(&settings).expect("nothing is read").expect("there is an issuer");
    if !keys.is_empty() {
        jwt.take(set(keys), false);
    }
    jwt
}

fn set(keys: &[Value]) -> Keys {
    Keys::parse(json!({ "keys": keys }).to_string().as_bytes()).expect("keys")
}

fn why(jwt: &Jwt, token: &str) -> Option<NoJwt> {
    match jwt.caller(token, NOW) {
        Err(Denied::Unknown(Failed::Jwt(why))) => Some(why),
        Ok(_) => None,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_token_of_each_algorithm_says_who_has_it_and_what_they_may() {
    for signer in [Signer::rsa(), Signer::ec(), Signer::ed()] {
        let jwt = jwt(&[signer.jwk("k1")]);
        let caller = jwt.caller(&signed(&signer, "k1", &claims()), NOW).expect("it counts");
        assert_eq!(caller, Caller { who: "ann".into(), role: Role::Client });
        // One audience of several, and without an id where there is one key.
        let mut other = claims();
        other["aud"] = json!(["shop", "tercet"]);
        let header = json!({ "alg": signer.algorithm() });
        let without = token(&header, &other, |message| signer.sign(message));
        assert_eq!(why(&jwt, &without), None, "{}", signer.algorithm());
    }
}

#[test]
fn a_token_without_a_signature_is_nobodys() {
    let signer = Signer::rsa();
    let jwt = jwt(&[signer.jwk("k1")]);
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({ "alg": alg, "kid": "k1" });
        for signature in [Vec::new(), vec![0; 256]] {
            let token = token(&header, &claims(), |_| signature);
            assert_eq!(why(&jwt, &token), Some(NoJwt::Unreadable), "{alg}");
        }
    }
    let good = signed(&signer, "k1", &claims());
    let cut = good.rsplit_once('.').expect("three parts").0;
    assert_eq!(why(&jwt, &format!("{cut}.")), Some(NoJwt::NotOurs));
    assert!(why(&jwt, cut).is_some());
}

/// Whoever reads the public key can sign with it as a secret; it must be taken for none.
#[test]
fn a_public_key_is_no_secret_that_signs() {
    for signer in [Signer::rsa(), Signer::ec(), Signer::ed()] {
        let jwt = jwt(&[signer.jwk("k1")]);
        for secret in signer.public_bytes() {
            for header in [json!({ "alg": "HS256", "kid": "k1" }), json!({ "alg": "HS256" })] {
                let token = token(&header, &claims(), |message| {
                    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("any length");
                    mac.update(message);
                    mac.finalize().into_bytes().to_vec()
                });
                assert_eq!(why(&jwt, &token), Some(NoJwt::UnknownKey), "{header}");
            }
        }
    }
}

#[test]
fn the_algorithm_is_the_keys_own_and_no_other_of_its_family() {
    let Signer::Rsa(pair) = Signer::rsa() else { unreachable!("it is one") };
    let jwt = jwt(&[Signer::rsa().jwk("k1"), Signer::ec().jwk("k2")]);
    let header = json!({ "alg": "RS512", "kid": "k1" });
    let other = token(&header, &claims(), |message| {
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA512, &SystemRandom::new(), message, &mut signature)
            .expect("signed");
        signature
    });
    assert_eq!(why(&jwt, &other), Some(NoJwt::UnknownKey));
    for alg in ["ES256", "EdDSA", "PS256"] {
        let header = json!({ "alg": alg, "kid": "k1" });
        let token = token(&header, &claims(), |message| Signer::rsa().sign(message));
        assert_eq!(why(&jwt, &token), Some(NoJwt::UnknownKey), "{alg}");
    }
}

#[test]
fn what_is_not_signed_by_the_key_or_not_meant_for_us_does_not_count() {
    let (signer, stranger) = (Signer::ec(), Signer::ec());
    let jwt = jwt(&[signer.jwk("k1")]);
    assert_eq!(why(&jwt, &signed(&stranger, "k1", &claims())), Some(NoJwt::NotOurs));
    let good = signed(&signer, "k1", &claims());
    let mut greater = claims();
    greater["role"] = json!("operator");
    let parts: Vec<&str> = good.split('.').collect();
    let bent = format!("{}.{}.{}", parts[0], base64(greater.to_string().as_bytes()), parts[2]);
    assert_eq!(why(&jwt, &bent), Some(NoJwt::NotOurs));
    for (claim, value) in [
        ("iss", json!("https://login.example/")),
        ("iss", json!("https://evil.example")),
        ("iss", Value::Null),
        ("aud", json!("shop")),
        ("aud", json!(["shop"])),
        ("aud", Value::Null),
        ("exp", Value::Null),
        ("exp", json!("soon")),
    ] {
        let mut other = claims();
        other[claim] = value.clone();
        assert_eq!(
            why(&jwt, &signed(&signer, "k1", &other)),
            Some(NoJwt::NotOurs),
            "{claim} {value}"
        );
        other.as_object_mut().expect("an object").remove(claim);
        assert_eq!(why(&jwt, &signed(&signer, "k1", &other)), Some(NoJwt::NotOurs), "no {claim}");
    }
    let mut old = claims();
    old["exp"] = json!(NOW.0 / 1_000 - 60);
    assert_eq!(why(&jwt, &signed(&signer, "k1", &old)), Some(NoJwt::Expired));
    let mut early = claims();
    early["nbf"] = json!(NOW.0 / 1_000 + 61);
    assert_eq!(why(&jwt, &signed(&signer, "k1", &early)), Some(NoJwt::NotYet));
    let header = json!({ "alg": "ES256", "kid": "k1", "crit": ["x"], "x": 1 });
    let token = token(&header, &claims(), |message| signer.sign(message));
    assert_eq!(why(&jwt, &token), Some(NoJwt::NotOurs), "what must be understood is not");
    for text in ["..", "a.b.c", "e30.e30.", "a.b"] {
        assert!(why(&jwt, text).is_some(), "{text}");
    }
}

#[tokio::test]
async fn keys_change_and_one_that_is_not_known_is_asked_for() {
    let (old, new) = (Signer::ed(), Signer::ed());
    let jwt = jwt(&[]);
    let by_old = signed(&old, "k1", &claims());
    assert_eq!(why(&jwt, &by_old), Some(NoJwt::NoKeys));
    jwt.missed.notified().await;
    jwt.take(set(&[old.jwk("k1")]), false);
    assert_eq!(why(&jwt, &by_old), None);
    let by_new = signed(&new, "k2", &claims());
    assert_eq!(why(&jwt, &by_new), Some(NoJwt::UnknownKey));
    jwt.missed.notified().await;
    jwt.take(set(&[old.jwk("k1"), new.jwk("k2")]), false);
    assert_eq!((why(&jwt, &by_old), why(&jwt, &by_new)), (None, None));
    // Which of two it is must be said.
    let header = json!({ "alg": "EdDSA" });
    let token = token(&header, &claims(), |message| new.sign(message));
    assert_eq!(why(&jwt, &token), Some(NoJwt::UnknownKey));
    jwt.take(set(&[new.jwk("k2")]), false);
    assert_eq!(why(&jwt, &by_old), Some(NoJwt::UnknownKey));
    // What is taken back altogether is.
    jwt.take(set(&[]), false);
    assert_eq!(why(&jwt, &by_new), Some(NoJwt::NoKeys));
}

#[test]
fn keys_that_are_not_for_us_are_left_out() {
    let (rsa, ec) = (Signer::rsa().jwk("k1"), Signer::ec().jwk("k2"));
    let with = |jwk: &Value, field: &str, value: &str| {
        let mut other = jwk.clone();
        other[field] = json!(value);
        other
    };
    let others = [
        with(&rsa, "use", "enc"),
        with(&rsa, "alg", "RS512"),
        with(&rsa, "alg", "HS256"),
        with(&ec, "crv", "P-384"),
        with(&ec, "x", "not base64!"),
        json!({ "kty": "oct", "kid": "k3", "k": base64(b"a secret of both sides") }),
        json!({ "kty": "new", "kid": "k4" }),
        json!("no key"),
    ];
    let parse = |keys: &[Value]| Keys::parse(json!({ "keys": keys }).to_string().as_bytes());
    for other in &others {
        assert_eq!(parse(std::slice::from_ref(other)).expect("a set").len(), 0, "{other}");
    }
    let all: Vec<Value> = others.iter().cloned().chain([rsa, ec]).collect();
    assert_eq!(parse(&all).expect("two of them").len(), 2);
    assert!(matches!(Keys::parse(b"{}"), Err(KeysError::NoSet(_))));
    let long = format!("{{\"keys\":[]{}}}", " ".repeat(256 * 1_024));
    assert!(matches!(Keys::parse(long.as_bytes()), Err(KeysError::TooLong)));
}

#[test]
fn a_token_that_names_no_role_may_nothing_and_one_that_names_nobody_is_none() {
    let signer = Signer::ec();
    let jwt = jwt(&[signer.jwk("k1")]);
    let mut other = claims();
    other["role"] = json!("admin");
    let denied = jwt.caller(&signed(&signer, "k1", &other), NOW).expect_err("no role of ours");
    assert_eq!(denied, Denied::NoRole { who: "ann".into(), claim: "role".into() });
    let mut other = claims();
    other["sub"] = json!("");
    assert_eq!(why(&jwt, &signed(&signer, "k1", &other)), Some(NoJwt::NoName));
}

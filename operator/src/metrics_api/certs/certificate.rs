//! The serving certificate: what a good one is, when it is due, and how one is made. Pure but for randomness: time is an
//! argument.
//!
//! An authority of its own signs it, and that authority's key is kept beside it: so the certificate is renewed under the
//! same authority, and every client that verifies it (`caBundle` of the APIServices, the operator) has nothing to change.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use std::time::Duration;

/// How long a certificate is good, in days.
const LEAF_DAYS: i64 = 90;
/// How long an authority is good, in days.
const AUTHORITY_DAYS: i64 = 3_650;
/// Clocks of others may be behind: good since this many days ago.
const BACKDATED_DAYS: i64 = 1;
/// A new one is due when less than one part in this many of its time is left.
const DUE_PART: i32 = 3;
/// The name of the authority. Fixed: a certificate names its issuer.
const AUTHORITY_NAME: &str = "lectern metrics-api";
/// Old authorities that stay trusted beside the new one.
const OLD_AUTHORITIES_MAX: usize = 2;

/// A serving certificate with all that belongs to it, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    /// Authorities to verify it with, the newest first.
    pub authorities: String,
    /// Key of the newest authority; not there if another program keeps it.
    pub authority_key: Option<String>,
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Material").finish_non_exhaustive()
    }
}

/// What is to be done about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// A new certificate of the same authority.
    Certificate,
    /// A new authority, too.
    Authority,
}

/// Why a certificate cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It is no PEM of what it should be.
    #[error("failed to read {what}: {cause}")]
    Unreadable {
        /// What was read.
        what: &'static str,
        /// Why not.
        cause: String,
    },
    /// It does not do what it is for.
    #[error("{what}: {cause}")]
    Unfit {
        /// What does not fit.
        what: &'static str,
        /// Why not.
        cause: String,
    },
    /// It could not be made.
    #[error("failed to make {what}: {cause}")]
    Unmade {
        /// What was made.
        what: &'static str,
        /// Why not.
        cause: rcgen::Error,
    },
}

/// From when to when a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Term {
    from: Timestamp,
    to: Timestamp,
}

impl Material {
    /// A new one for a server called `host`. Authorities of `old` stay trusted.
    ///
    /// # Errors
    /// When the machine gives no random numbers.
    pub fn new(host: &str, now: Timestamp, old: Option<&Self>) -> Result<Self, CertificateError> {
        let unmade = |cause| CertificateError::Unmade { what: "an authority", cause };
        let key = KeyPair::generate().map_err(unmade)?;
        let term = term(now, AUTHORITY_DAYS);
        let own = authority(term).self_signed(&key).map_err(unmade)?.pem();
        let mut authorities = own;
        for old in old.iter().flat_map(|old| pems(&old.authorities)).take(OLD_AUTHORITIES_MAX) {
            authorities.push_str(&old);
        }
        Self::signed(host, now, term.to, &key, authorities)
    }

    /// The next one of the same authority.
    ///
    /// # Errors
    /// When the authority's key is not there or is no key.
    pub fn renewed(&self, host: &str, now: Timestamp) -> Result<Self, CertificateError> {
        let what = "the authority's key";
        let unreadable = |cause: String| CertificateError::Unreadable { what, cause };
        let key = self.authority_key.as_deref().ok_or_else(|| unreadable("it is not there".into()))?;
        let key = KeyPair::from_pem(key).map_err(|error| unreadable(error.to_string()))?;
        let until = first_term(&self.authorities, "the authority")?.to;
        Self::signed(host, now, until, &key, self.authorities.clone())
    }

    fn signed(
        host: &str,
        now: Timestamp,
        until: Timestamp,
        authority_key: &KeyPair,
        authorities: String,
    ) -> Result<Self, CertificateError> {
        let unmade = |cause| CertificateError::Unmade { what: "a certificate", cause };
        let mut names = vec![host.to_owned(), format!("{host}.cluster.local")];
        names.extend(host.strip_suffix(".svc").map(str::to_owned));
        let mut leaf = CertificateParams::new(names).map_err(unmade)?;
        leaf.distinguished_name = named(host);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let own = term(now, LEAF_DAYS);
        set_term(&mut leaf, Term { to: own.to.min(until), ..own });
        let key = KeyPair::generate().map_err(unmade)?;
        let issuer = authority(term(now, AUTHORITY_DAYS));
        let issuer = Issuer::from_params(&issuer, authority_key);
        let certificate = leaf.signed_by(&key, &issuer).map_err(unmade)?.pem();
        Ok(Self {
            authorities,
            authority_key: Some(authority_key.serialize_pem()),
            certificate,
            key: key.serialize_pem(),
        })
    }

    /// What is to be done about it at `now`, if it is to serve as `host`.
    ///
    /// # Errors
    /// When it cannot serve: then a new one with a new authority is due.
    pub fn due(&self, host: &str, now: Timestamp) -> Result<Due, CertificateError> {
        let key = self.certified_key()?;
        self.verify(&key, host, now)?;
        let authority = first_term(&self.authorities, "the authority")?;
        if is_due(authority, now) {
            return Ok(Due::Authority);
        }
        if !is_due(first_term(&self.certificate, "the certificate")?, now) {
            return Ok(Due::Nothing);
        }
        Ok(if self.authority_key.is_some() { Due::Certificate } else { Due::Authority })
    }

    /// Certificate and key, as TLS takes them.
    ///
    /// # Errors
    /// When one of them is not readable or they do not belong together.
    pub fn certified_key(&self) -> Result<CertifiedKey, CertificateError> {
        let chain = certificates(&self.certificate, "the certificate")?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())
            .map_err(|error| CertificateError::Unreadable { what: "its key", cause: error.to_string() })?;
        let unfit = |error: rustls::Error| CertificateError::Unfit { what: "its key", cause: error.to_string() };
        let key = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider()).map_err(unfit)?;
        key.keys_match().map_err(unfit)?;
        Ok(key)
    }

    fn verify(&self, key: &CertifiedKey, host: &str, now: Timestamp) -> Result<(), CertificateError> {
        let unfit =
            |error: rustls::Error| CertificateError::Unfit { what: "the certificate", cause: error.to_string() };
        let roots = roots(&self.authorities)?;
        let leaf = key.end_entity_cert().map_err(unfit)?;
        let leaf = ParsedCertificate::try_from(leaf).map_err(unfit)?;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0)));
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &leaf,
            &roots,
            key.cert.get(1..).unwrap_or_default(),
            now,
            algorithms,
        )
        .map_err(unfit)?;
        let name = ServerName::try_from(host)
            .map_err(|error| CertificateError::Unfit { what: "the host", cause: error.to_string() })?;
        verify_server_name(&leaf, &name).map_err(unfit)
    }
}

/// Authorities as TLS takes them.
///
/// # Errors
/// When there are none or one is not readable.
pub fn roots(pem: &str) -> Result<Arc<RootCertStore>, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, "the authorities")? {
        roots
            .add(certificate)
            .map_err(|error| CertificateError::Unfit { what: "an authority", cause: error.to_string() })?;
    }
    Ok(Arc::new(roots))
}

fn certificates(pem: &str, what: &'static str) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let unreadable = |cause: String| CertificateError::Unreadable { what, cause };
    let all = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| unreadable(error.to_string()))?;
    if all.is_empty() { Err(unreadable("there is none in it".into())) } else { Ok(all) }
}

/// Each certificate of a PEM file for itself.
fn pems(text: &str) -> impl Iterator<Item = String> {
    const END: &str = "-----END CERTIFICATE-----";
    text.split_inclusive(END).filter(|part| part.contains(END)).map(|part| format!("{}\n", part.trim()))
}

fn first_term(pem: &str, what: &'static str) -> Result<Term, CertificateError> {
    let all = certificates(pem, what)?;
    let unreadable = |cause: String| CertificateError::Unreadable { what, cause };
    let first = all.first().ok_or_else(|| unreadable("there is none in it".into()))?;
    let (_, certificate) = x509_parser::parse_x509_certificate(first).map_err(|error| unreadable(error.to_string()))?;
    let at = |seconds: i64| Timestamp::from_second(seconds).map_err(|error| unreadable(error.to_string()));
    let validity = certificate.validity();
    Ok(Term { from: at(validity.not_before.timestamp())?, to: at(validity.not_after.timestamp())? })
}

fn is_due(term: Term, now: Timestamp) -> bool {
    term.to.duration_since(now) < term.to.duration_since(term.from) / DUE_PART
}

fn authority(term: Term) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(AUTHORITY_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    set_term(&mut params, term);
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// Whole days: certificates are made so.
fn term(now: Timestamp, days: i64) -> Term {
    let shifted = |days: i64| now.saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(now);
    Term { from: shifted(-BACKDATED_DAYS), to: shifted(days) }
}

fn set_term(params: &mut CertificateParams, term: Term) {
    let day = |at: Timestamp| {
        let date = at.to_zoned(TimeZone::UTC).date();
        let part = |number: i8| u8::try_from(number).unwrap_or(1);
        rcgen::date_time_ymd(date.year().into(), part(date.month()), part(date.day()))
    };
    (params.not_before, params.not_after) = (day(term.from), day(term.to));
}

#[cfg(test)]
mod tests;

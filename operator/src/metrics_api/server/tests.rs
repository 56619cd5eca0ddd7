//! Mutual TLS with a real client.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot connect must fail")]

use super::*;
use crate::audience::{EventAudience, Round};
use crate::metrics_api::certs::certificate::Material;
use crate::metrics_api::certs::front_proxy::FrontProxy;
use crate::metrics_api::compose;
use jiff::Timestamp;
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const HOST: &str = "lectern-metrics.lectern-system.svc";
const PATH: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/n/liveevents.lectern.dev/gala/live_viewers";
const DEADLINE: Duration = Duration::from_secs(20);

/// An authority that signs clients.
struct Signer {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

type Client = (Certificate, KeyPair);

impl Signer {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn client(&self, name: &str) -> Client {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn known(&self) -> FrontProxy {
        FrontProxy::Known { authorities: self.certificate.pem(), allowed_names: vec!["front-proxy-client".into()] }
    }
}

/// A server with its inputs.
struct Rig {
    address: SocketAddr,
    material: watch::Sender<Option<Material>>,
    front_proxy: watch::Sender<FrontProxy>,
    serving: watch::Receiver<Option<Serving>>,
    stop: CancellationToken,
    _outcome: watch::Sender<Arc<Outcome>>,
    _not_ready: watch::Sender<Option<&'static str>>,
}

impl Rig {
    async fn new(own: &Material, proxy: FrontProxy) -> Self {
        let event = EventAudience { viewers: 1_000, ..EventAudience::default() };
        let ended_ms = u64::try_from(Timestamp::now().as_millisecond()).unwrap();
        let round = Round { ended_ms, events: [("n/gala".to_owned(), event)].into() };
        let (outcome, outcome_now) = watch::channel(Arc::new(Outcome { round, ..Outcome::default() }));
        let (not_ready, not_ready_now) = watch::channel(None);
        let (serving, serving_now) = watch::channel(None);
        let (material, material_now) = watch::channel(Some(own.clone()));
        let (front_proxy, front_proxy_now) = watch::channel(proxy);
        tokio::spawn(compose(material_now, front_proxy_now, serving));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let facts = Facts { outcome: outcome_now, not_ready: not_ready_now, serving: serving_now.clone() };
        tokio::spawn(serve(listener, facts, stop.clone()));
        let mut ready = serving_now.clone();
        ready.wait_for(Option::is_some).await.unwrap();
        Self { address, material, front_proxy, serving: serving_now, stop, _outcome: outcome, _not_ready: not_ready }
    }

    async fn connect(&self, own: &Material, client: Option<&Client>) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.roots.clone_from(&crate::metrics_api::certs::certificate::roots(&own.authorities).unwrap().roots);
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![certificate.der().clone()],
                    PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
                )
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        let tcp = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(HOST).unwrap(), tcp).await
    }

    /// The status code; 0 if TLS came to nothing.
    async fn get(&self, own: &Material, client: Option<&Client>, path: &str, extra: &str) -> u16 {
        let asked = async {
            let mut tls = self.connect(own, client).await?;
            let head = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{extra}Connection: close\r\n\r\n");
            tls.write_all(head.as_bytes()).await?;
            let mut text = String::new();
            let _ = tls.read_to_string(&mut text).await;
            Ok::<_, std::io::Error>(text.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0))
        };
        timeout(DEADLINE, asked).await.expect("an answer").unwrap_or(0)
    }
}

fn material() -> Material {
    Material::new(HOST, Timestamp::now(), None).unwrap()
}

#[tokio::test]
async fn only_the_front_proxy_gets_metrics() {
    let (own, proxy, other) = (material(), Signer::new("front-proxy"), Signer::new("other"));
    let rig = Rig::new(&own, proxy.known()).await;
    let forged = "X-Remote-User: admin\r\nX-Remote-Group: system:masters\r\n";
    let front = proxy.client("front-proxy-client");
    assert_eq!(rig.get(&own, None, PATH, forged).await, 401, "no certificate");
    assert_eq!(rig.get(&own, Some(&other.client("front-proxy-client")), PATH, forged).await, 0, "another authority");
    assert_eq!(rig.get(&own, Some(&proxy.client("someone")), PATH, forged).await, 403, "another name");
    assert_eq!(rig.get(&own, Some(&front), PATH, "").await, 200, "the front proxy");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(rig.get(&own, None, path, "").await, 200, "{path}");
    }
    let bearer = |key: &str| format!("Authorization: Bearer {}\r\n", lectern_api::keys::audience_token(key.as_bytes()));
    assert_eq!(rig.get(&own, None, crate::audience::PATH, &bearer(&own.key)).await, 200, "the operator");
    assert_eq!(rig.get(&own, None, crate::audience::PATH, &bearer("another key")).await, 401);
    assert_eq!(rig.get(&own, None, PATH, &bearer(&own.key)).await, 401, "the operator's token is for its own path");
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart_and_the_old_token_is_good_for_a_while() {
    let (own, proxy) = (material(), Signer::new("front-proxy"));
    let rig = Rig::new(&own, proxy.known()).await;
    let kept = rig.connect(&own, None).await.unwrap();
    let before = kept.get_ref().1.peer_certificates().unwrap()[0].clone();
    let next = own.renewed(HOST, Timestamp::now()).unwrap();
    let mut serving = rig.serving.clone();
    serving.mark_unchanged();
    rig.material.send_replace(Some(next.clone()));
    timeout(DEADLINE, serving.changed()).await.unwrap().unwrap();
    // Verified with the authorities of before: no configuration changes.
    let after = rig.connect(&own, None).await.unwrap();
    assert_ne!(after.get_ref().1.peer_certificates().unwrap()[0], before);
    for key in [&own.key, &next.key] {
        let token = lectern_api::keys::audience_token(key.as_bytes());
        let bearer = format!("Authorization: Bearer {token}\r\n");
        assert_eq!(rig.get(&own, None, crate::audience::PATH, &bearer).await, 200);
    }
}

#[tokio::test]
async fn when_the_front_proxys_authority_changes_its_old_connections_end() {
    let (own, old, new) = (material(), Signer::new("old"), Signer::new("new"));
    let rig = Rig::new(&own, old.known()).await;
    let client = old.client("front-proxy-client");
    let mut kept = rig.connect(&own, Some(&client)).await.unwrap();
    kept.write_all(format!("GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await.unwrap();
    let mut head = [0; 12];
    timeout(DEADLINE, kept.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    rig.front_proxy.send_replace(new.known());
    let mut rest = Vec::new();
    let _ = timeout(DEADLINE, kept.read_to_end(&mut rest)).await.expect("the connection ends");
    assert_eq!(rig.get(&own, Some(&client), PATH, "").await, 0);
    assert_eq!(rig.get(&own, Some(&new.client("front-proxy-client")), PATH, "").await, 200);
    // A front proxy that is gone takes its rights with it.
    let mut serving = rig.serving.clone();
    serving.mark_unchanged();
    rig.front_proxy.send_replace(FrontProxy::Absent);
    timeout(DEADLINE, serving.changed()).await.unwrap().unwrap();
    assert_eq!(rig.get(&own, Some(&new.client("front-proxy-client")), PATH, "").await, 401);
}

#[tokio::test]
async fn stopping_ends_idle_connections() {
    let own = material();
    let rig = Rig::new(&own, FrontProxy::Absent).await;
    let mut idle = rig.connect(&own, None).await.unwrap();
    rig.stop.cancel();
    let mut rest = Vec::new();
    let _ = timeout(DEADLINE, idle.read_to_end(&mut rest)).await.expect("the connection ends");
    assert!(TcpStream::connect(rig.address).await.is_err(), "the server listens no more");
}

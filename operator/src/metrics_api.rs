//! `lectern metrics-api`: who watches, told to autoscalers as custom.metrics.k8s.io and to the operator.
//!
//! The parts, each a file: `cluster` knows the edges, `scrape` asks them, `rounds` folds the answers
//! ([`crate::audience::fold`], pure), `routes` answers (pure) in the words of `wire` (pure), `server` is HTTPS,
//! `certs` has the serving certificate, makes the API server trust it, and knows whose requests are answered. Nothing leads: replicas give the same answers.

mod admin;
mod certs;
mod cluster;
mod object_store;
mod options;
mod rounds;
mod routes;
mod scrape;
mod server;
mod wire;

pub use options::MetricsApiOptions;

use crate::start::{self, Threads};
use anyhow::{Context as _, Result};
use certs::certificate::Material;
use certs::front_proxy::FrontProxy;
use certs::keeper::Place;
use certs::{api_services, certificate, front_proxy};
use cluster::Scope;
use kube::Client;
use lectern_process::signals::{Cause, Stop};
use rounds::Outcome;
use rustls::ServerConfig;
use rustls::server::{WebPkiClientVerifier, danger::ClientCertVerifier};
use rustls::sign::SingleCertAndKey;
use server::{Facts, Serving};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// After SIGTERM requests are still answered for so long: API servers and proxies need a moment to learn that this
/// replica goes.
const LINGER: Duration = Duration::from_secs(4);
/// The operator's tokens that are good: of the key in use and of the one before it.
const TOKENS: usize = 2;

const STARTING: &str = "the edges were not asked yet";
const STOPPING: &str = "stopping";

/// Counts and answers until SIGTERM or SIGINT.
///
/// # Errors
/// When there is no API server to ask, or an address is taken.
pub fn main(options: &MetricsApiOptions) -> Result<()> {
    lectern_process::logs::init(&options.service.logs);
    // A thousand edges take a tenth of a core; a second thread would only take memory.
    start::runtime(Threads::One)?.block_on(run(options))
}

async fn run(options: &MetricsApiOptions) -> Result<()> {
    let client =
        Client::try_default().await.context("failed to find an API server (KUBECONFIG, or run it in a pod)")?;
    let listener = TcpListener::bind(options.listen_https)
        .await
        .with_context(|| format!("failed to listen on {}; choose another with --listen-https", options.listen_https))?;
    let (outcome, outcome_now) = watch::channel(Arc::new(Outcome::default()));
    let (not_ready, not_ready_now) = watch::channel(Some(STARTING));
    let (serving, serving_now) = watch::channel(None);
    let (material, material_now) = watch::channel(None);
    let (front_proxy, front_proxy_now) = watch::channel(FrontProxy::default());
    let stop = CancellationToken::new();
    let admin = admin::Admin { outcome: outcome_now.clone(), not_ready: not_ready_now.clone() };
    admin::serve(options.service.listen_admin, admin, stop.clone()).await?;
    let facts = Facts { outcome: outcome_now.clone(), not_ready: not_ready_now, serving: serving_now.clone() };
    let server = tokio::spawn(server::serve(listener, facts, stop.clone()));

    let mut tasks = JoinSet::new();
    let place = match &options.tls_dir {
        Some(folder) => Place::Folder(folder.clone()),
        None => Place::secret(
            client.clone(),
            &options.service.namespace,
            &options.service.metrics_tls_secret,
            options.host(),
        ),
    };
    tasks.spawn(place.keep(material));
    tasks.spawn(front_proxy::follow(client.clone(), front_proxy));
    tasks.spawn(compose(material_now.clone(), front_proxy_now.clone(), serving));
    if options.patch_api_services {
        let service = (options.service.namespace.clone(), options.service.metrics_service.clone());
        tasks.spawn(api_services::keep(
            client.clone(),
            options.service.metrics_backend.api_services(),
            service,
            material_now,
        ));
    }
    let mut scopes = Vec::new();
    for namespace in options.service.scopes() {
        let scope = Arc::new(Scope::default());
        scope.watches(&client, namespace.as_deref()).into_iter().for_each(|watch| drop(tasks.spawn(watch)));
        scopes.push(scope);
    }
    tasks.spawn(rounds::run(scopes, outcome));

    // Before the line that says so: a signal that comes right behind it must find its listener.
    let told = Stop::listen()?;
    tracing::info!(https = %options.listen_https, admin = %options.service.listen_admin, pod = options.service.pod_name, "started");
    let run = async {
        ready(outcome_now, front_proxy_now, serving_now, &not_ready).await;
        std::future::pending::<()>().await;
    };
    let cause = tokio::select! {
        cause = told.told() => cause,
        () = run => Cause::Terminate,
    };
    not_ready.send_replace(Some(STOPPING));
    if cause == Cause::Terminate {
        tokio::time::sleep(LINGER).await;
    }
    stop.cancel();
    let _ = server.await;
    tracing::info!("stopped");
    Ok(())
}

/// Ready after the first round, once it is known who may ask and there is a certificate. What comes later, an event that
/// cannot be counted or an API server that is away, does not change it.
async fn ready(
    mut outcome: watch::Receiver<Arc<Outcome>>,
    mut front_proxy: watch::Receiver<FrontProxy>,
    mut serving: watch::Receiver<Option<Serving>>,
    not_ready: &watch::Sender<Option<&'static str>>,
) {
    let known = async {
        front_proxy.wait_for(|known| *known != FrontProxy::Unasked).await.is_ok()
            && serving.wait_for(Option::is_some).await.is_ok()
            && outcome.wait_for(|outcome| outcome.round.ended_ms > 0).await.is_ok()
    };
    if known.await {
        not_ready.send_replace(None);
        tracing::info!("ready");
    }
}

/// Certificate and front proxy become what connections are served with, whenever one of them changes.
async fn compose(
    mut material: watch::Receiver<Option<Material>>,
    mut front_proxy: watch::Receiver<FrontProxy>,
    serving: watch::Sender<Option<Serving>>,
) {
    let mut tokens: VecDeque<String> = VecDeque::new();
    let mut trusted = FrontProxy::Unasked;
    let mut outdated = CancellationToken::new();
    loop {
        let (own, proxy) = (material.borrow_and_update().clone(), front_proxy.borrow_and_update().clone());
        if let Some(own) = own {
            let token = lectern_api::keys::audience_token(own.key.as_bytes());
            if tokens.front() != Some(&token) {
                tokens.push_front(token);
                tokens.truncate(TOKENS);
            }
            let replaced = (trusted != proxy).then(|| std::mem::replace(&mut outdated, CancellationToken::new()));
            match tls(&own, &proxy) {
                Ok(tls) => {
                    let allowed_names = match &proxy {
                        FrontProxy::Known { allowed_names, .. } => allowed_names.clone().into(),
                        FrontProxy::Unasked | FrontProxy::Absent => Arc::default(),
                    };
                    let tokens = tokens.iter().cloned().collect();
                    serving.send_replace(Some(Serving {
                        tls: Arc::new(tls),
                        allowed_names,
                        tokens,
                        outdated: outdated.clone(),
                    }));
                    trusted = proxy;
                }
                Err(error) => tracing::error!("failed to set up TLS, the last settings stay: {error:#}"),
            }
            if let Some(replaced) = replaced {
                replaced.cancel();
            }
        }
        let changed = tokio::select! {
            changed = material.changed() => changed,
            changed = front_proxy.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Without a front proxy no client is asked for a certificate, and so no client gets metrics.
fn tls(own: &Material, proxy: &FrontProxy) -> Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ClientCertVerifier> = match proxy {
        FrontProxy::Known { authorities, .. } => {
            WebPkiClientVerifier::builder_with_provider(certificate::roots(authorities)?, Arc::clone(&provider))
                // Kubelets and the operator have none; `routes` decides what they may ask.
                .allow_unauthenticated()
                .build()
                .context("failed to use the front proxy's authorities")?
        }
        FrontProxy::Unasked | FrontProxy::Absent => WebPkiClientVerifier::no_client_auth(),
    };
    let key = own.certified_key().context("failed to use the serving certificate")?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("failed to choose TLS versions")?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

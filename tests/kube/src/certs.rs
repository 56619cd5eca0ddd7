//! The certificates of a cluster, made anew for each: three authorities, the serving certificate of the API server, a
//! client certificate for each of its clients, and the key pair that signs service account tokens.

use crate::network::{API_SERVICE, node_address};
use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use std::path::{Path, PathBuf};

/// The group that may do everything.
const MASTERS: &str = "system:masters";

/// Who asks the API server: file name, user, group. The API server itself is the kubelets' client; as a member of
/// `system:masters` it needs no binding for logs and exec.
const CLIENTS: [(&str, &str, Option<&str>); 7] = [
    ("admin", "admin", Some(MASTERS)),
    ("kube-controller-manager", "system:kube-controller-manager", None),
    ("kube-scheduler", "system:kube-scheduler", None),
    ("kube-proxy", "system:kube-proxy", None),
    ("kube-apiserver", "kube-apiserver", Some(MASTERS)),
    ("node-1", "system:node:node-1", Some("system:nodes")),
    ("node-2", "system:node:node-2", Some("system:nodes")),
];

/// The names under which the API server is asked.
const SERVER_NAMES: [&str; 5] =
    ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"];

/// The folder with all certificates and keys: `NAME.crt` and `NAME.key`.
#[derive(Clone, Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes all of them in `folder`.
    ///
    /// # Errors
    /// When a key cannot be made or a file not written.
    pub fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
        let made = Self { folder: folder.to_owned() };
        made.server()?;
        made.clients()?;
        let account = KeyPair::generate().context("failed to make the service account key")?;
        made.write("service-account.key", &account.serialize_pem())?;
        made.write("service-account.pub", &account.public_key_pem())?;
        Ok(made)
    }

    /// The certificate `name`.
    #[must_use]
    pub fn certificate(&self, name: &str) -> String {
        self.path(&format!("{name}.crt"))
    }

    /// The key of certificate `name`.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        self.path(&format!("{name}.key"))
    }

    /// The public half of the key that signs service account tokens.
    #[must_use]
    pub fn service_account_public(&self) -> String {
        self.path("service-account.pub")
    }

    fn path(&self, file: &str) -> String {
        self.folder.join(file).to_string_lossy().into_owned()
    }

    fn server(&self) -> Result<()> {
        let authority = self.authority("server-ca")?;
        let mut names = SERVER_NAMES.map(str::to_owned).to_vec();
        names.extend(["127.0.0.1".to_owned(), API_SERVICE.to_string(), node_address(1).to_string()]);
        let mut params = CertificateParams::new(names).context("failed to name the API server")?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue("apiserver", params, &authority)
    }

    fn clients(&self) -> Result<()> {
        let authority = self.authority("client-ca")?;
        for (file, user, group) in CLIENTS {
            self.issue(file, client(user, group)?, &authority)?;
        }
        let front_proxy = self.authority("front-proxy-ca")?;
        self.issue("front-proxy", client("system:auth-proxy", None)?, &front_proxy)
    }

    fn authority(&self, name: &str) -> Result<Issuer<'static, KeyPair>> {
        let mut params = CertificateParams::new([]).context("failed to name an authority")?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().with_context(|| format!("failed to make the key of {name}"))?;
        let certificate = params.self_signed(&key).with_context(|| format!("failed to sign {name}"))?;
        self.write(&format!("{name}.crt"), &certificate.pem())?;
        self.write(&format!("{name}.key"), &key.serialize_pem())?;
        Ok(Issuer::new(params, key))
    }

    fn issue(&self, name: &str, params: CertificateParams, authority: &Issuer<'_, KeyPair>) -> Result<()> {
        let key = KeyPair::generate().with_context(|| format!("failed to make the key of {name}"))?;
        let certificate = params.signed_by(&key, authority).with_context(|| format!("failed to sign {name}"))?;
        self.write(&format!("{name}.crt"), &certificate.pem())?;
        self.write(&format!("{name}.key"), &key.serialize_pem())
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        std::fs::write(self.folder.join(file), text).with_context(|| format!("failed to write {file}"))
    }
}

/// A client certificate that only its owner signed, and its key: for tests of what a server refuses.
///
/// # Errors
/// When a key cannot be made.
pub fn self_signed_client(user: &str) -> Result<(String, String)> {
    let key = KeyPair::generate().context("failed to make a key")?;
    let certificate = client(user, None)?.self_signed(&key).context("failed to sign a certificate")?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn client(user: &str, group: Option<&str>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new([]).context("failed to name a client")?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

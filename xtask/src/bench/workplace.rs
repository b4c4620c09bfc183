//! A folder with the files of all programs: keys, certificates, a room, files to send. Removed when dropped.

use std::fs;
use std::io::Read;
use std::path::Path;

use testbed::scratch::Scratch;

use crate::environment::random::random;
use crate::environment::repo::{Failure, Repo, captured, shown_run};

/// The folder.
pub(crate) struct Workplace {
    folder: Scratch,
    user: String,
}

impl Workplace {
    /// Makes it with new keys, below `base` or in `/dev/shm`.
    pub(super) fn new(repo: &Repo, base: Option<&Path>) -> Result<Self, Failure> {
        let base = base.unwrap_or_else(|| Path::new("/dev/shm"));
        let folder = Scratch::within(base)?;
        let user = captured(repo.program("id").arg("-un"))?.trim().to_owned();
        let place = Self { folder, user };
        place.write("room", &format!("{:032x}\n", u128::from_le_bytes(random()?)))?;
        place.make_certificate(repo)?;
        place.make_ssh_keys(repo)?;
        Ok(place)
    }

    fn make_certificate(&self, repo: &Repo) -> Result<(), Failure> {
        captured(repo.program("openssl").args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=bench",
            "-addext",
            "subjectAltName=DNS:bench",
            "-keyout",
            &self.path("key.pem"),
            "-out",
            &self.path("cert.pem"),
        ]))?;
        self.write(
            "openssl.cnf",
            "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = dflt\n[dflt]\n\
             MinProtocol = TLSv1.3\nCiphersuites = TLS_CHACHA20_POLY1305_SHA256\n",
        )
    }

    fn make_ssh_keys(&self, repo: &Repo) -> Result<(), Failure> {
        for name in ["host", "user"] {
            captured(repo.program("ssh-keygen").args([
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "bench",
                "-f",
                &self.path(name),
            ]))?;
        }
        let read = |name: &str| fs::read_to_string(self.path(name)).map_err(Failure::at(name.to_owned()));
        self.write("authorized_keys", &read("user.pub")?)?;
        self.write("known_hosts", &format!("bench {}", read("host.pub")?))?;
        self.write(
            "sshd_config",
            &format!(
                "HostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                 PermitRootLogin prohibit-password\nCompression no\nSubsystem sftp internal-sftp\n",
                self.path("host"),
                self.path("authorized_keys")
            ),
        )?;
        // sshd's privilege separation directory; only root needs it.
        let _ = fs::create_dir_all("/run/sshd");
        Ok(())
    }

    /// The path of a file in it.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// Builds deaddrop with these features and copies it to this name, because the next build has the same path.
    pub(super) fn build(&self, repo: &Repo, features: &[&str], name: &str) -> Result<(), Failure> {
        let words = ["build", "--release", "--locked", "-p", "deaddrop", "--bin", "deaddrop"];
        shown_run(repo.cargo(words).args(features))?;
        let built = repo.root.join("target/release/deaddrop");
        fs::copy(&built, self.path(name)).map_err(Failure::at(built.display().to_string()))?;
        Ok(())
    }

    /// The user's name, for ssh.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// A file of `size` incompressible bytes.
    pub(super) fn make_file(&self, size: u64) -> Result<String, Failure> {
        let path = self.path(&format!("in.{size}"));
        let copied = fs::File::open("/dev/urandom")
            .and_then(|random| std::io::copy(&mut random.take(size), &mut fs::File::create(&path)?));
        copied.map_err(Failure::at(path.clone()))?;
        Ok(path)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        self.folder.write(name, text.as_bytes()).map(drop)
    }
}

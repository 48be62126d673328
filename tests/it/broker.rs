//! Apache Kafka for tests: a broker of its own on free ports of the loopback address, stopped with
//! the test.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{env, fs};

use crate::proxy::Proxy;

/// How long a broker may take to start.
const STARTS: Duration = Duration::from_secs(240);

/// A broker, or the cluster that `KAFKA_BOOTSTRAP_SERVERS` names.
pub struct Broker {
    /// `host:port`.
    pub servers: String,
    folder: PathBuf,
    process: Option<Child>,
    /// Where it is a process of its own.
    controller: Option<Child>,
}

/// Sixteen bytes in base64 for URLs; every broker here is a cluster of its own.
const CLUSTER_ID: &str = "bGVhZHN0cmVhbS1icm9rZQ";

/// How every broker keeps its own topics.
const TOPICS: &str = "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\ntransaction.state.log.replication.factor=1\n\
    transaction.state.log.min.isr=1\ntransaction.state.log.num.partitions=4\nshare.coordinator.state.topic.replication.factor=1\n\
    share.coordinator.state.topic.min.isr=1\ngroup.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n";

/// The broker's jars, which `make test` fetches.
fn jars() -> PathBuf {
    env::var_os("LEADSTREAM_KAFKA_JARS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kafka/lib"),
        PathBuf::from,
    )
}

/// A program of the broker's jars.
pub fn java(class: &str, arguments: &[&str]) -> Command {
    java_with(&[], class, arguments)
}

fn java_with(options: &[&str], class: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("java");
    command.args(options).args([
        "-Xmx400m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp",
    ]);
    command
        .arg(jars().join("*"))
        .arg(class)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Whether tests on Kafka can run; says what to do where they cannot, and fails where they must.
pub fn is_there() -> bool {
    let there = env::var_os("KAFKA_BOOTSTRAP_SERVERS").is_some() || jars().is_dir();
    if !there {
        let sentence =
            "Kafka's jars are not there: `make kafka` fetches them (it needs Java 17 and Maven)";
        assert!(env::var_os("CI").is_none(), "{sentence}");
        eprintln!("NOT RUN: {sentence}");
    }
    there
}

/// A port of the loopback address that nobody listens on now, and that was not given to anybody
/// else.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}

/// Listeners with passwords, certificates, or both.
#[derive(Default)]
pub struct Secured {
    /// By the security protocol that clients have to name: `localhost:port`.
    pub servers: BTreeMap<&'static str, String>,
    /// The certificate that clients have to trust.
    pub authority: PathBuf,
    listeners: String,
    advertised: String,
    protocols: String,
    settings: String,
    users: Vec<String>,
}

/// Name of a listener and the protocol that is spoken there.
const LISTENERS: [(&str, &str); 3] =
    [("SCRAM", "SASL_PLAINTEXT"), ("TLS", "SSL"), ("BOTH", "SASL_SSL")];
/// A user that the broker knows and that may do nothing.
pub const STRANGER: (&str, &str) = ("stranger", "strangers-secret");

impl Secured {
    fn make(folder: &Path, user: &str, password: &str) -> Self {
        let authority = certificate(folder, "authority", None);
        let pair = certificate(folder, "broker", Some("authority"));
        let chain = [folder.join("broker.key"), pair]
            .map(|path| fs::read_to_string(path).unwrap())
            .concat();
        let keystore = folder.join("keystore.pem");
        fs::write(&keystore, chain).unwrap();
        let mut secured = Self { authority, ..Self::default() };
        let login = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
        for (name, protocol) in LISTENERS {
            let port = free_port();
            secured.listeners += &format!(",{name}://127.0.0.1:{port}");
            secured.advertised += &format!(",{name}://localhost:{port}");
            secured.protocols += &format!(",{name}:{protocol}");
            secured.servers.insert(protocol, format!("localhost:{port}"));
            if protocol.starts_with("SASL") {
                let listener = format!("listener.name.{}", name.to_lowercase());
                secured.settings += &format!("{listener}.scram-sha-512.sasl.jaas.config={login}\n");
            }
        }
        secured.settings += &format!(
            "sasl.enabled.mechanisms=SCRAM-SHA-512\nssl.keystore.type=PEM\nssl.keystore.location={}\n\
             authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\nsuper.users=User:ANONYMOUS;User:{user}\n",
            keystore.display()
        );
        let scram = |(user, password)| format!("SCRAM-SHA-512=[name={user},password={password}]");
        secured.users = [(user, password), STRANGER].map(scram).to_vec();
        secured
    }
}

/// Makes a key and a certificate of that name with openssl, signed by itself or by an authority
/// that was made so; its path.
pub fn certificate(folder: &Path, name: &str, authority: Option<&str>) -> PathBuf {
    let path = |name: &str, kind: &str| folder.join(format!("{name}.{kind}"));
    let mut command = Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        &format!("/CN={name}"),
    ]);
    command
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .arg("-keyout")
        .arg(path(name, "key"))
        .arg("-out")
        .arg(path(name, "pem"));
    if let Some(authority) = authority {
        command.arg("-CA").arg(path(authority, "pem")).arg("-CAkey").arg(path(authority, "key"));
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    }
    let created = command.stdin(Stdio::null()).output().unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    path(name, "pem")
}

impl Broker {
    /// Starts one and waits until it takes connections.
    pub fn start(folder: &Path) -> Self {
        if let Ok(servers) = env::var("KAFKA_BOOTSTRAP_SERVERS") {
            return Self { servers, folder: folder.to_owned(), process: None, controller: None };
        }
        let port = free_port();
        Self::listen(folder, (port, port), &Secured::default())
    }

    /// Starts one that a test may kill while transactions end. Its controller is a process of its
    /// own, which outlives it: a broker that comes back before its controller has noticed drops
    /// what ends the transactions of the moment (KAFKA-20734).
    ///
    /// Who uses the address that comes with it finds the broker behind a proxy, others do not; a
    /// cluster of somebody else has none.
    pub fn start_to_crash(folder: &Path) -> (Self, Option<(String, Proxy)>) {
        if env::var_os("KAFKA_BOOTSTRAP_SERVERS").is_some() {
            return (Self::start(folder), None);
        }
        let (port, apart, controller) =
            (free_port(), free_port(), format!("127.0.0.1:{}", free_port()));
        let behind = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxied = behind.local_addr().unwrap().to_string();
        let common = format!(
            "controller.quorum.bootstrap.servers={controller}\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,APART:PLAINTEXT,CONTROLLER:PLAINTEXT\nbroker.session.timeout.ms=3000\n{TOPICS}"
        );
        let file = folder.join("controller.properties");
        let logs = folder.join("controller");
        let settings = format!(
            "process.roles=controller\nnode.id=2\nlisteners=CONTROLLER://{controller}\nlog.dirs={}\n{common}",
            logs.display()
        );
        fs::write(&file, settings).unwrap();
        format_storage(&file, &["--standalone"]);
        let reported = fs::File::create(folder.join("controller.log")).unwrap();
        let process = java_with(
            &["-Dorg.slf4j.simpleLogger.log.org.apache.kafka.controller=info"],
            "kafka.Kafka",
            &[file.to_str().unwrap()],
        )
        .stdout(Stdio::null())
        .stderr(reported)
        .spawn()
        .unwrap();

        let file = folder.join("server.properties");
        let logs = folder.join("logs");
        let listener = format!("PLAINTEXT://127.0.0.1:{port}");
        let settings = format!(
            "process.roles=broker\nnode.id=1\nlisteners={listener},APART://127.0.0.1:{apart}\n\
             advertised.listeners={listener},APART://{proxied}\nlog.dirs={}\n{common}",
            logs.display()
        );
        fs::write(&file, settings).unwrap();
        format_storage(&file, &["--no-initial-controllers"]);
        let mut broker = Self {
            servers: format!("127.0.0.1:{port}"),
            folder: folder.to_owned(),
            process: None,
            controller: Some(process),
        };
        broker.run();
        (broker, Some((proxied, Proxy::start(behind, format!("127.0.0.1:{apart}")))))
    }

    /// Starts one that has listeners with passwords and certificates too, and lets only users in
    /// that it knows.
    pub fn start_secured(folder: &Path, user: &str, password: &str) -> (Self, Secured) {
        let secured = Secured::make(folder, user, password);
        let port = free_port();
        (Self::listen(folder, (port, port), &secured), secured)
    }

    /// Starts one that clients find behind a proxy.
    pub fn start_behind(folder: &Path) -> (Self, Proxy) {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, advertised) = (free_port(), proxy.local_addr().unwrap().port());
        let mut broker = Self::listen(folder, (port, advertised), &Secured::default());
        let proxy = Proxy::start(
            proxy,
            std::mem::replace(&mut broker.servers, format!("127.0.0.1:{advertised}")),
        );
        (broker, proxy)
    }

    fn listen(folder: &Path, (port, advertised): (u16, u16), secured: &Secured) -> Self {
        let controller = free_port();
        let Secured {
            listeners,
            advertised: secured_advertised,
            protocols,
            settings: more,
            users,
            ..
        } = secured;
        let settings = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}{secured_advertised}\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}\nlog.dirs={logs}\n\
             {TOPICS}{more}",
            logs = folder.join("logs").display()
        );
        let file = folder.join("server.properties");
        fs::write(&file, settings).unwrap();
        let mut arguments = vec!["--standalone"];
        users.iter().for_each(|user| arguments.extend(["--add-scram", user]));
        format_storage(&file, &arguments);
        let mut broker = Self {
            servers: format!("127.0.0.1:{port}"),
            folder: folder.to_owned(),
            process: None,
            controller: None,
        };
        broker.run();
        broker
    }

    /// Starts it again on its directory.
    pub fn run(&mut self) {
        let file = self.folder.join("server.properties");
        self.process = Some(
            java("kafka.Kafka", &[file.to_str().unwrap()]).stdout(Stdio::null()).spawn().unwrap(),
        );
        let until = Instant::now() + STARTS;
        while TcpStream::connect(&self.servers).is_err() {
            assert!(Instant::now() < until, "the broker does not start");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Whether it can be killed: a cluster of somebody else cannot.
    pub fn is_ours(&self) -> bool {
        self.process.is_some()
    }

    /// Runs one of the broker's own tools; standard output of a run that must succeed.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> String {
        let output = java(class, &[&["--bootstrap-server", &self.servers], arguments].concat())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{class} {arguments:?}: {text}");
        text
    }

    /// Kills it and starts it again once its controller has noticed.
    pub fn crash(&mut self) {
        let log = self.folder.join("controller.log");
        let noticed = || fs::read_to_string(&log).unwrap().matches("Fencing broker 1 ").count();
        let before = noticed();
        self.kill();
        let until = Instant::now() + STARTS;
        while noticed() == before {
            assert!(
                Instant::now() < until,
                "the controller does not notice that its broker is gone"
            );
            std::thread::park_timeout(Duration::from_millis(50));
        }
        self.run();
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        if let Some(process) = &mut self.controller {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

/// Prepares the directory of a broker, again where the machine had no room for one more JVM.
fn format_storage(file: &Path, arguments: &[&str]) {
    let always = ["format", "--ignore-formatted", "-t", CLUSTER_ID, "-c", file.to_str().unwrap()];
    let mut said = String::new();
    for _ in 0..3 {
        let output = java("kafka.tools.StorageTool", &[&always, arguments].concat())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        if output.status.success() {
            return;
        }
        said += &format!(
            "{}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    panic!("{said}");
}

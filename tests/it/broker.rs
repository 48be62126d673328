//! Apache Kafka for tests: a broker of its own on free ports of the loopback address, stopped with the test.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use crate::proxy::Proxy;

/// How long a broker may take to start.
const STARTS: Duration = Duration::from_secs(60);

/// A broker, or the cluster that `KAFKA_BOOTSTRAP_SERVERS` names.
pub struct Broker {
    /// `host:port`.
    pub servers: String,
    folder: PathBuf,
    process: Option<Child>,
}

/// The broker's jars, which `make test` fetches.
fn jars() -> PathBuf {
    env::var_os("LEADSTREAM_KAFKA_JARS").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kafka/lib"), PathBuf::from)
}

/// A program of the broker's jars.
pub fn java(class: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"]);
    command.arg(jars().join("*")).arg(class).args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// Whether tests on Kafka can run; says what to do where they cannot, and fails where they must.
pub fn is_there() -> bool {
    let there = env::var_os("KAFKA_BOOTSTRAP_SERVERS").is_some() || jars().is_dir();
    if !there {
        let sentence = "Kafka's jars are not there: `make kafka` fetches them (it needs Java 17 and Maven)";
        assert!(env::var_os("CI").is_none(), "{sentence}");
        eprintln!("NOT RUN: {sentence}");
    }
    there
}

/// A port of the loopback address that nobody listens on now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Broker {
    /// Starts one and waits until it takes connections.
    pub fn start(folder: &Path) -> Self {
        if let Ok(servers) = env::var("KAFKA_BOOTSTRAP_SERVERS") {
            return Self { servers, folder: folder.to_owned(), process: None };
        }
        let port = free_port();
        Self::listen(folder, port, port)
    }

    /// Starts one that clients find behind a proxy.
    pub fn start_behind(folder: &Path) -> (Self, Proxy) {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, advertised) = (free_port(), proxy.local_addr().unwrap().port());
        let mut broker = Self::listen(folder, port, advertised);
        let proxy = Proxy::start(proxy, std::mem::replace(&mut broker.servers, format!("127.0.0.1:{advertised}")));
        (broker, proxy)
    }

    fn listen(folder: &Path, port: u16, advertised: u16) -> Self {
        let controller = free_port();
        let settings = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\nlog.dirs={logs}\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\ntransaction.state.log.num.partitions=4\nshare.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\ngroup.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n",
            logs = folder.join("logs").display()
        );
        let file = folder.join("server.properties");
        fs::write(&file, settings).unwrap();
        let id = java("kafka.tools.StorageTool", &["random-uuid"]).output().unwrap().stdout;
        let id = String::from_utf8(id).unwrap();
        let arguments = ["format", "--standalone", "-t", id.trim(), "-c", file.to_str().unwrap()];
        let formatted = java("kafka.tools.StorageTool", &arguments).stdout(Stdio::null()).status().unwrap();
        assert!(formatted.success());
        let mut broker = Self { servers: format!("127.0.0.1:{port}"), folder: folder.to_owned(), process: None };
        broker.run();
        broker
    }

    fn run(&mut self) {
        let file = self.folder.join("server.properties");
        self.process = Some(java("kafka.Kafka", &[file.to_str().unwrap()]).stdout(Stdio::null()).spawn().unwrap());
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
        let output = java(class, &[&["--bootstrap-server", &self.servers], arguments].concat()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{class} {arguments:?}: {text}");
        text
    }

    /// Kills it as a crash would and starts it on the same directory.
    pub fn crash(&mut self) {
        self.kill();
        self.run();
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

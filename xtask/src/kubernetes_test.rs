//! `cargo xtask kubernetes-test`: checks docs/kubernetes against the schemas of Kubernetes, and of KEDA where its file is given.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::command::{capture, run};

/// A Python package that brings the schemas of Kubernetes, and its version.
const PACKAGE: &str = "kubernetes-validate";
const VERSION: &str = "1.37.0";
/// The version of Kubernetes.
const KUBERNETES: &str = "1.37";
const FOLDER: &str = "docs/kubernetes";
/// The file whose object is KEDA's.
const OF_KEDA: &str = "scale.yaml";
const MAIN: &str = "import sys; from kubernetes_validate.__main__ import main; sys.exit(main())";
/// argv: the custom resource definition, the file.
const BY_DEFINITION: &str = "
import sys, yaml, jsonschema
versions = yaml.safe_load(open(sys.argv[1]))['spec']['versions']
for document in yaml.safe_load_all(open(sys.argv[2])):
    name = document['apiVersion'].split('/')[1]
    schema = [v for v in versions if v['name'] == name][0]['schema']['openAPIV3Schema']
    jsonschema.validate(document, schema)
    print('INFO', sys.argv[2], 'passed for', document['kind'])
";

/// Validates the manifests for Kubernetes. Fetches a Python package once.
#[derive(Debug, clap::Args)]
pub(crate) struct KubernetesTest {
    /// KEDA's `keda.sh_scaledobjects.yaml` (config/crd/bases in its repository): checks scale.yaml too.
    #[arg(long, value_name = "FILE")]
    keda: Option<PathBuf>,
}

impl KubernetesTest {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let package = root.join("target/tools").join(format!("{PACKAGE}-{VERSION}"));
        if !package.is_dir() {
            let wanted = format!("{PACKAGE}=={VERSION}");
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--target"]).arg(&package).arg(&wanted);
            capture(&mut pip).context("fetching the schemas of Kubernetes")?;
        }
        let python = |code: &str| {
            let mut command = Command::new("python3");
            command.args(["-c", code]).env("PYTHONPATH", &package).current_dir(root);
            command
        };
        let files = fs::read_dir(root.join(FOLDER)).context("reading docs/kubernetes")?;
        let names = files.filter_map(Result::ok).map(|file| file.file_name());
        let mut names: Vec<String> =
            names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        ensure!(names.iter().any(|name| name == OF_KEDA), "{FOLDER}/{OF_KEDA} is not there");
        let own = names.iter().filter(|name| *name != OF_KEDA);
        let own: Vec<String> = own.map(|name| format!("{FOLDER}/{name}")).collect();
        run(python(MAIN).args(["--strict", "-k", KUBERNETES]).args(own))?;
        match &self.keda {
            Some(definition) => {
                let file = format!("{FOLDER}/{OF_KEDA}");
                run(python(BY_DEFINITION).arg(definition).arg(file))
            }
            None => {
                println!("{OF_KEDA} was not checked: give KEDA's definition with --keda");
                Ok(())
            }
        }
    }
}

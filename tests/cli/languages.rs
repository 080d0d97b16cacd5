//! What `airssys new --lang` makes builds as it is, is published, and answers calls; so it is in each language.
//!
//! What it is built with `cargo xtask guests` has installed. Where that cannot be had, the tests of the language are
//! left out by their module.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use airssys_tests::command::{Desk, Ran};

use super::new::well;

/// A new project in a language.
struct New {
    desk: Desk,
    /// Its folder.
    dir: PathBuf,
    /// Where the tools are that a user would have on PATH.
    path: OsString,
    /// What is installed for Python.
    python: Option<PathBuf>,
}

impl New {
    /// Made by the command, which says what comes next.
    fn of(lang: &str, tools: &Path, next: &str) -> Self {
        let desk = Desk::new();
        let said = desk.run(&["new", "hello-1", "--lang", lang]).well().stdout;
        assert!(said.ends_with(&format!("Next: {next}\n")), "{said}");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([tools.to_owned()].into_iter().chain(std::env::split_paths(&path))).unwrap();
        Self { dir: desk.path().join("hello-1"), desk, path, python: None }
    }

    /// A program is run in its folder, to a good end.
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        well(Command::new(program).args(arguments).current_dir(&self.dir).env("PATH", &self.path))
    }

    fn build(&self) -> Ran {
        let mut build = self.desk.command(&["build", "hello-1"]);
        if let Some(python) = &self.python {
            build.env("PYTHONPATH", python);
        }
        build.env("PATH", &self.path).output().unwrap().into()
    }

    /// Nothing is installed in silence: what is missing is told, with what to do.
    fn is_not_built_without(&self, path: &Path, names: &[&str]) {
        let without: Ran = self.desk.command(&["build", "hello-1"]).env("PATH", path).output().unwrap().into();
        let _said = without.refused(1, "AB109", names);
        let check: Ran = self.desk.command(&["build", "--check", "hello-1"]).env("PATH", path).output().unwrap().into();
        let _said = check.refused(1, "AB109", names);
    }

    /// It is built, and answers a message; what the answer is.
    fn is_served(&self) -> String {
        let _built = self.build().well();
        self.desk.write("airssys.toml", "name = \"m\"\n[[service]]\nname = \"hello-1\"\nrelease = \"hello-1\"\n");
        let host = super::control::up(&self.desk, &[]);
        let answer = self.desk.run(&["call", "hello-1", "{\"name\":\"Ada\"}"]).well().stdout;
        super::control::stop(&self.desk, host);
        answer
    }

    /// It is built, and published; the release answers calls, and a crash is one as any other.
    fn is_built_published_and_called(&self) {
        let built = self.build().well().stdout;
        assert!(built.contains("hello-1 0.1.0: "), "{built}");
        let _checked = well(self.desk.command(&["check"]).current_dir(&self.dir));
        let _published = self.desk.run(&["publish", "hello-1"]).well();
        self.desk.write("airssys.toml", "name = \"m\"\n[[service]]\nname = \"hello-1\"\nrelease = \"hello-1@0.1.0\"\n");
        let host = super::control::up(&self.desk, &[]);
        let call = |arguments: &[&str]| self.desk.run(&[&["call", "hello-1"], arguments].concat()).well().stdout;
        assert_eq!(call(&["greet(\"Ada\")"]), "ok(\"Hello, Ada!\")\n");
        assert_eq!(call(&["greet", "[\"\"]"]), "{\"err\":\"nameless\"}\n");
        assert!(self.desk.run(&["wit", "hello-1"]).well().stdout.contains("greet: func(name: string)"));
        super::control::stop(&self.desk, host);
    }
}

/// Of the interfaces that have several worlds one is named; `ready` does what comes before a build.
fn which_of_several_worlds_is_said(language: &str, tools: &Path, ready: impl Fn(&Path)) {
    let desk = Desk::new();
    let dir = desk.path().join("pricing");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (from, to) in [(format!("guests-{language}/pricing"), "pricing"), ("guests/pricing/wit".into(), "pricing/wit")]
    {
        for entry in std::fs::read_dir(tests.join(from)).unwrap().map(|entry| entry.unwrap()) {
            if entry.path().is_file() {
                desk.write(&format!("{to}/{}", entry.file_name().display()), std::fs::read(entry.path()).unwrap());
            }
        }
    }
    ready(&dir);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([tools.to_owned()].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let build = || Ran::from(desk.command(&["build", "pricing"]).env("PATH", &path).output().unwrap());
    let _said = build().refused(1, "AB111", &["printed above"]);
    let mut manifest = std::fs::read_to_string(dir.join("Component.toml")).unwrap();
    manifest.push_str("\n[build]\nworld = \"shop\"\n");
    std::fs::write(dir.join("Component.toml"), manifest).unwrap();
    let _built = build().well();
    assert!(desk.run(&["wit", "pricing"]).well().stdout.contains("crash: func(reason: string) -> u32"));
}

mod python {
    use std::path::Path;
    use std::process::Command;

    use airssys_tests::tools::tool;

    use super::super::signals::Running;
    use super::New;

    #[test]
    fn a_new_component_builds_is_published_and_called() {
        let new = New::of("python", &tool("python", "bin/componentize-py").join("bin"), "airssys build hello-1");
        new.is_not_built_without(new.desk.path(), &["componentize-py", "pip install componentize-py"]);
        new.is_built_published_and_called();
        // The types of its world are there, and it is checked against them.
        assert!(new.run("mypy", &[]).contains("no issues found"));
        let app = std::fs::read_to_string(new.dir.join("app.py")).unwrap();
        std::fs::write(new.dir.join("app.py"), app.replace("return f\"Hello, {name}!\"", "return len(name)")).unwrap();
        let mypy = Command::new("mypy").current_dir(&new.dir).env("PATH", &new.path).output().unwrap();
        let said = String::from_utf8_lossy(&mypy.stdout);
        assert!(said.contains("Incompatible return value type (got \"int\", expected \"str\")"), "{said}");
    }

    #[test]
    fn what_is_saved_is_served() {
        let new = New::of("python", &tool("python", "bin/componentize-py").join("bin"), "airssys build hello-1");
        let mut dev = new.desk.command(&["dev", "hello-1"]);
        dev.env("PATH", &new.path);
        let mut dev = Running::start(dev);
        dev.until("is up");
        let greet = || new.desk.run(&["call", "hello-1", "greet(\"Ada\")"]).well().stdout;
        assert_eq!(greet(), "ok(\"Hello, Ada!\")\n");
        let app = std::fs::read_to_string(new.dir.join("app.py")).unwrap();
        std::fs::write(new.dir.join("app.py"), app.replace("f\"Hello,", "f\"Good day,")).unwrap();
        dev.until("hello-1: live in");
        assert_eq!(greet(), "ok(\"Good day, Ada!\")\n");
        super::super::control::stop(&new.desk, dev);
    }

    #[test]
    fn which_of_several_worlds_is_said() {
        super::which_of_several_worlds_is_said("python", &tool("python", "bin/mypy").join("bin"), |_| {});
    }

    #[test]
    fn without_a_world_it_is_a_service_of_the_sdk() {
        let bin = tool("python", "bin/componentize-py").join("bin");
        let mut new = New::of("python", &bin, "airssys build hello-1");
        std::fs::remove_dir_all(new.dir.join("wit")).unwrap();
        new.is_not_built_without(Path::new(&new.path), &["airssys", "pip install"]);
        new.desk.write(
            "hello-1/app.py",
            "from airssys import component\n\n\n@component\ndef greet(message):\n    return message.value[\"name\"]\n",
        );
        new.python = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("../airssys-wasm/sdk/python"));
        assert_eq!(new.is_served(), "\"Ada\"\n");
    }
}

mod c {
    use airssys_tests::tools::tool;

    use super::New;

    #[test]
    fn a_new_component_builds_is_published_and_called() {
        let bin = tool("c", "bin/wit-bindgen").join("bin");
        let new = New::of("c", &bin, "airssys build hello-1");
        new.is_not_built_without(new.desk.path(), &["wit-bindgen", "cargo install wit-bindgen-cli"]);
        std::os::unix::fs::symlink(bin.join("wit-bindgen"), new.desk.path().join("wit-bindgen")).unwrap();
        new.is_not_built_without(new.desk.path(), &["zig", "pip install ziglang"]);
        // What the compiler says is read as it says it.
        let app = std::fs::read_to_string(new.dir.join("app.c")).unwrap();
        std::fs::write(new.dir.join("app.c"), app.replace("return true;", "return tru;")).unwrap();
        let said = new.build().refused(1, "AB111", &["printed above"]).stderr;
        assert!(said.contains("app.c:21:10: error: use of undeclared identifier 'tru'\n"), "{said}");
        std::fs::write(new.dir.join("app.c"), app).unwrap();
        new.is_built_published_and_called();
    }

    #[test]
    fn which_of_several_worlds_is_said() {
        super::which_of_several_worlds_is_said("c", &tool("c", "bin/wit-bindgen").join("bin"), |_| {});
    }

    #[test]
    fn without_a_world_it_is_a_service_of_the_sdk() {
        let new = New::of("c", &tool("c", "bin/wit-bindgen").join("bin"), "airssys build hello-1");
        std::fs::remove_dir_all(new.dir.join("wit")).unwrap();
        new.desk.write("hello-1/app.c", "#include \"airssys.h\"\nbool airssys_handle(const airssys_message_t *message, airssys_answer_t *answer, airssys_fault_t *fault) { return airssys_answer(answer, \"7\", 1); }\n");
        assert_eq!(new.is_served(), "7\n");
    }
}

mod javascript {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use airssys_tests::tools::tool;

    use super::New;

    /// What `npm install` does in a new project, without fetching anything: node finds the package and its commands.
    fn install(project: &Path) {
        let package = tool("javascript", "build.mjs");
        let commands = project.join("node_modules/.bin");
        std::fs::create_dir_all(&commands).unwrap();
        symlink(&package, project.join("node_modules/airssys")).unwrap();
        symlink(package.join("build.mjs"), commands.join("airssys-js")).unwrap();
        symlink(package.join("node_modules/.bin/tsc"), commands.join("tsc")).unwrap();
    }

    const NEXT: &str = "cd hello-1 && npm install && airssys build";

    #[test]
    fn a_new_component_builds_is_published_and_called() {
        let new = New::of("javascript", Path::new("/nowhere"), NEXT);
        new.is_not_built_without(new.desk.path(), &["`node`", "install node"]);
        new.is_not_built_without(Path::new(&new.path), &["airssys-js", "npm install"]);
        install(&new.dir);
        assert!(new.run("npm", &["test"]).contains("pass 2"));
        new.is_built_published_and_called();
    }

    #[test]
    fn a_new_component_in_typescript_is_checked_builds_is_published_and_called() {
        let new = New::of("typescript", Path::new("/nowhere"), NEXT);
        install(&new.dir);
        // Its types are those of its world, which nobody wrote down.
        let app = std::fs::read_to_string(new.dir.join("app.ts")).unwrap();
        for (right, wrong, told) in [
            ("return `Hello, ${name}!`", "return name.length", "'number' is not assignable to type 'string'"),
            ("\"nameless\"", "\"unnamed\"", "\"unnamed\"' is not assignable"),
            ("const greeting:", "const greetings:", "Property 'greeting' is missing"),
        ] {
            assert!(app.contains(right), "{app}");
            std::fs::write(new.dir.join("app.ts"), app.replace(right, wrong)).unwrap();
            let said = new.build().refused(1, "AB111", &["airssys-js", "printed above"]);
            assert!(said.stderr.contains("its types are wrong:\n") && said.stderr.contains(told), "{}", said.stderr);
        }
        std::fs::write(new.dir.join("app.ts"), app).unwrap();
        new.is_built_published_and_called();
        assert!(new.run("npm", &["test"]).contains("pass 2"));
    }

    #[test]
    fn which_of_several_worlds_is_said() {
        super::which_of_several_worlds_is_said("javascript", Path::new("/nowhere"), install);
    }

    #[test]
    fn without_a_world_it_is_a_service_of_the_sdk() {
        let new = New::of("typescript", Path::new("/nowhere"), NEXT);
        install(&new.dir);
        std::fs::remove_dir_all(new.dir.join("wit")).unwrap();
        new.desk.write("hello-1/app.ts", "import type { Message } from \"airssys\";\nexport const handle = (message: Message) => message.json().name;\n");
        assert_eq!(new.is_served(), "\"Ada\"\n");
    }
}

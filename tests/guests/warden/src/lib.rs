//! A layer that is a component. What it is to do with something is said by words in its body or its target; what it was
//! asked and told it keeps, for tests to look at.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        inline: "
            package acme:warden;

            world warden {
                import wasi:config/store@0.2.0-rc.1;
                import airssys:actor/messaging@0.1.0;
                export airssys:actor/layer@0.1.0;
                /// What it was asked and told since the last time that this was asked.
                export seen: func() -> list<string>;
            }
        ",
        path: "../../../wit",
        world: "acme:warden/warden",
        pub_export_macro: true,
        generate_all,
    });
}

use std::cell::RefCell;

use bindings::Guest as World;
use bindings::airssys::actor::messaging;
use bindings::exports::airssys::actor::layer::{ErrorVerdict, Failure, Guest, Operation, Outcome, Verdict};
use bindings::wasi::config::store;

/// What this release is: a name, padded with dots.
static VARIANT: [u8; 40] = *b"variant=one,healthy.....................";

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn note(what: String) {
    SEEN.with_borrow_mut(|seen| seen.push(what));
}

/// What it was asked about, in one line.
fn line(what: &Operation) -> String {
    let Operation { kind, needs, sender, target, also, function, size, body } = what;
    let needs: String = needs.iter().map(|need| format!("+{need}")).collect();
    let sender = sender.as_deref().unwrap_or("-");
    let rest = [also, function].into_iter().flatten().map(|one| format!(" {one}")).collect::<String>();
    let body = body.as_ref().map(|body| format!(" {}", String::from_utf8_lossy(body))).unwrap_or_default();
    format!("{kind}{needs} {sender} {target}{rest} {size}{body}")
}

fn says(what: &Operation, word: &str) -> bool {
    let body = what.body.as_deref().unwrap_or_default();
    what.target.contains(word) || body.windows(word.len()).any(|part| part == word.as_bytes())
}

struct Warden;

impl Guest for Warden {
    #[allow(clippy::panic, reason = "it is asked to")]
    fn before(what: Operation) -> Verdict {
        note(format!("before {}", line(&what)));
        if says(&what, "trap") {
            panic!("it is asked to");
        }
        if says(&what, "spin") {
            loop {
                std::hint::black_box(&what);
            }
        }
        if says(&what, "gorge") {
            let bytes = vec![1_u8; 1 << 30];
            std::hint::black_box(bytes);
        }
        if says(&what, "ask-other") {
            let whom = store::get("ask").ok().flatten().unwrap_or_else(|| "other".to_owned());
            let asked = messaging::call(&whom, None, b"\"count\"", 60_000);
            note(format!("asked {}", if asked.is_ok() { "ok" } else { "not" }));
            return match asked {
                Ok(_) => Verdict::Pass,
                Err(_) => Verdict::Reject("nobody knows".to_owned()),
            };
        }
        let barred = store::get("barred").ok().flatten().unwrap_or_else(|| "barred".to_owned());
        if says(&what, &barred) {
            let variant = String::from_utf8_lossy(std::hint::black_box(&VARIANT).as_slice()).into_owned();
            let variant = variant.trim_start_matches("variant=").split(',').next().unwrap_or_default().to_owned();
            return Verdict::Reject(format!("{barred} is not to be said, says {variant}"));
        }
        Verdict::Pass
    }

    fn after(what: Operation, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Done => "done".to_owned(),
            Outcome::Failed(failure) => failure.code,
        };
        note(format!("after {}: {outcome}", line(&what)));
    }

    fn on_error(what: Operation, failure: Failure) -> ErrorVerdict {
        note(format!("on-error {}: {}", line(&what), failure.code));
        match store::get("on-error").ok().flatten().as_deref() {
            Some("replace") => ErrorVerdict::Replace("something else".to_owned()),
            Some("suppress") => ErrorVerdict::Suppress,
            Some("retry") => ErrorVerdict::Retry,
            Some("stop") => ErrorVerdict::Stop,
            _ => ErrorVerdict::Keep,
        }
    }
}

impl World for Warden {
    fn seen() -> Vec<String> {
        SEEN.take()
    }
}

bindings::export!(Warden with_types_in bindings);

//! What is asked and told is written down and read back.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{Awaited, HostCall, Level, NoRandomness, Reply, StateRefused};
use crate::address::{Address, AddressError};
use crate::capability::Operation;
use crate::error::{
    CallError, Crash, DeadHandle, Denied, Fault, HandleDeath, NotFound, SendError, Stage, SupervisionError,
};
use crate::turn::outside::{Change, Look, Said, Stat};
use crate::turn::sheet::{Leaf, Sheet};
use crate::turn::{Line, Maker};
use crate::typed::{FunctionType, Laid, ValueType};

/// Makes a function that draws any value of an enum. It does not compile where it leaves a variant out.
macro_rules! any_of {
    ($name:ident: $type:ident { $($variant:ident => $drawn:expr,)* }) => {
        fn $name() -> BoxedStrategy<$type> {
            let _all = |one: &$type| match one { $($type::$variant { .. } => {})* };
            prop_oneof![$($drawn.boxed()),*].boxed()
        }
    };
}

fn text() -> impl Strategy<Value = String> {
    any::<String>()
}

/// A short one, or one that a recorder shares.
fn body() -> impl Strategy<Value = Bytes> {
    prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 1_020..1_030)].prop_map(Bytes::from)
}

fn address() -> impl Strategy<Value = Address> {
    "[a-z][a-z0-9.-]{0,9}(/[a-z /]{1,9})?".prop_map(|text| text.parse().unwrap())
}

/// One with a type of each kind.
fn function() -> FunctionType {
    let laid = Laid::from;
    let case = |name: &str| Box::<str>::from(name);
    let all = ValueType::Record(vec![
        (case("flags"), laid(ValueType::Flags(vec![case("a"), case("b")]))),
        (case("enum"), laid(ValueType::Enum(vec![case("a")]))),
        (case("own"), laid(ValueType::Own(case("acme:shop/carts@1#cart")))),
        (case("borrow"), laid(ValueType::Borrow(case("acme:shop/carts@1#cart")))),
        (case("list"), laid(ValueType::List(Box::new(laid(ValueType::U64))))),
        (case("tuple"), laid(ValueType::Tuple(vec![laid(ValueType::Char), laid(ValueType::String)]))),
    ]);
    let either = ValueType::Variant(vec![(case("none"), None), (case("some"), Some(laid(ValueType::F32)))]);
    FunctionType {
        interface: Some(case("acme:shop/pricing@1.0.0")),
        name: case("quote"),
        params: laid(all),
        result: Some(laid(ValueType::Result(Some(Box::new(laid(ValueType::Option(Box::new(laid(either)))))), None))),
    }
}

any_of!(operation: Operation {
    Send => Just(Operation::Send),
    Call => Just(Operation::Call),
    Invoke => Just(Operation::Invoke),
    Publish => Just(Operation::Publish),
    Subscribe => Just(Operation::Subscribe),
    Spawn => Just(Operation::Spawn),
    Stop => Just(Operation::Stop),
    Monitor => Just(Operation::Monitor),
    Link => Just(Operation::Link),
    Deliver => Just(Operation::Deliver),
    FileOpen => Just(Operation::FileOpen),
    FileRead => Just(Operation::FileRead),
    FileWrite => Just(Operation::FileWrite),
    FileCreate => Just(Operation::FileCreate),
    FileRemove => Just(Operation::FileRemove),
    FileMove => Just(Operation::FileMove),
    FileList => Just(Operation::FileList),
    FileInspect => Just(Operation::FileInspect),
    SocketBind => Just(Operation::SocketBind),
    SocketAccept => Just(Operation::SocketAccept),
    SocketConnect => Just(Operation::SocketConnect),
    SocketSend => Just(Operation::SocketSend),
    Lookup => Just(Operation::Lookup),
    ProcessStart => Just(Operation::ProcessStart),
    ProcessSignal => Just(Operation::ProcessSignal),
    ProcessWait => Just(Operation::ProcessWait),
    Http => Just(Operation::Http),
    StateRead => Just(Operation::StateRead),
    StateWrite => Just(Operation::StateWrite),
    Clock => Just(Operation::Clock),
    Random => Just(Operation::Random),
    Environment => Just(Operation::Environment),
    Config => Just(Operation::Config),
});

any_of!(not_found: NotFound {
    Unknown => Just(NotFound::Unknown),
    NeedsKey => Just(NotFound::NeedsKey),
    TakesNoKey => Just(NotFound::TakesNoKey),
    NotSpawned => Just(NotFound::NotSpawned),
    SpawnsNobody => Just(NotFound::SpawnsNobody),
    NeedsName => Just(NotFound::NeedsName),
    NoPattern => Just(NotFound::NoPattern),
});

any_of!(stage: Stage {
    Init => Just(Stage::Init),
    HealthCheck => Just(Stage::HealthCheck),
    Snapshot => Just(Stage::Snapshot),
    Restore => Just(Stage::Restore),
    Start => Just(Stage::Start),
    Handover => Just(Stage::Handover),
});

any_of!(fault: Fault {
    Invalid => text().prop_map(Fault::Invalid),
    Refused => text().prop_map(Fault::Refused),
    Unavailable => text().prop_map(Fault::Unavailable),
    Internal => text().prop_map(Fault::Internal),
    Exit => (any::<i32>(), text()).prop_map(|(status, stderr)| Fault::Exit { status, stderr }),
    Oversized => any::<u64>().prop_map(|limit_bytes| Fault::Oversized { limit_bytes }),
});

any_of!(crash: Crash {
    Trap => (text(), option::of(text())).prop_map(|(trap, at)| Crash::Trap { trap, at }),
    StackOverflow => (any::<u64>(), option::of(text()))
        .prop_map(|(limit_bytes, at)| Crash::StackOverflow { limit_bytes, at }),
    OutOfMemory => any::<u64>().prop_map(|limit_bytes| Crash::OutOfMemory { limit_bytes }),
    OutOfElements => any::<usize>().prop_map(|limit_elements| Crash::OutOfElements { limit_elements }),
    NoMemory => text().prop_map(|detail| Crash::NoMemory { detail }),
    Deadline => any::<Duration>().prop_map(|deadline| Crash::Deadline { deadline }),
    CutOff => text().prop_map(|by| Crash::CutOff { by }),
    Budget => any::<Duration>().prop_map(|budget| Crash::Budget { budget }),
    Tick => Just(Crash::Tick),
    Oversized => any::<u64>().prop_map(|limit_bytes| Crash::Oversized { limit_bytes }),
    Start => (stage(), fault()).prop_map(|(during, fault)| Crash::Start { during, fault }),
    Schema => (any::<u32>(), any::<u32>(), text())
        .prop_map(|(found, wanted, detail)| Crash::Schema { found, wanted, detail }),
    Exit => any::<i32>().prop_map(|status| Crash::Exit { status }),
    NotDurable => text().prop_map(|detail| Crash::NotDurable { detail }),
    StateDamaged => text().prop_map(|detail| Crash::StateDamaged { detail }),
    Wire => text().prop_map(|detail| Crash::Wire { detail }),
    NoInstance => text().prop_map(|detail| Crash::NoInstance { detail }),
    Planned => text().prop_map(|moment| Crash::Planned { moment }),
    Host => text().prop_map(|detail| Crash::Host { detail }),
});

any_of!(address_error: AddressError {
    Service => text().prop_map(|service| AddressError::Service { service }),
    Key => text().prop_map(|key| AddressError::Key { key }),
});

any_of!(send_error: SendError {
    Denied => (text(), operation(), text(), text())
        .prop_map(|(who, operation, target, missing)| Denied { who, operation, target, missing })
        .prop_map(|denied| SendError::Denied(Box::new(denied))),
    Address => address_error().prop_map(SendError::Address),
    NoSuchService => (text(), not_found()).prop_map(|(address, why)| SendError::NoSuchService { address, why }),
    Overloaded => text().prop_map(|what| SendError::Overloaded { what }),
    TooLarge => (any::<u64>(), any::<u64>())
        .prop_map(|(size_bytes, limit_bytes)| SendError::TooLarge { size_bytes, limit_bytes }),
    Stopped => text().prop_map(|service| SendError::Stopped { service }),
    Rejected => (text(), text()).prop_map(|(layer, reason)| SendError::Rejected { layer: layer.into(), reason }),
});

any_of!(handle_death: HandleDeath {
    Instance => Just(HandleDeath::Instance),
    Unknown => Just(HandleDeath::Unknown),
    Other => text().prop_map(|found| HandleDeath::Other { found }),
    Given => Just(HandleDeath::Given),
});

any_of!(call_error: CallError {
    NotSent => send_error().prop_map(CallError::NotSent),
    Timeout => Just(CallError::Timeout),
    Suspended => address().prop_map(|who| CallError::Suspended { who }),
    Deadlock => Just(CallError::Deadlock),
    Fault => fault().prop_map(CallError::Fault),
    DeadHandle => (text(), text(), handle_death())
        .prop_map(|(service, resource, why)| CallError::DeadHandle(DeadHandle { service, resource, why })),
    Crashed => crash().prop_map(CallError::Crashed),
    Dropped => text().prop_map(CallError::Dropped),
    Discarded => Just(CallError::Discarded),
    Taken => address().prop_map(|child| CallError::Taken { child }),
    Deaf => Just(CallError::Deaf),
    Failed => text().prop_map(|code| CallError::Failed { code }),
});

any_of!(supervision_error: SupervisionError {
    NotSent => send_error().prop_map(SupervisionError::NotSent),
    Taken => address().prop_map(|child| SupervisionError::Taken { child }),
    Deaf => Just(SupervisionError::Deaf),
});

any_of!(state_error: StateRefused {
    NoState => Just(StateRefused::NoState),
    NotItsOwn => Just(StateRefused::NotItsOwn),
    Failed => text().prop_map(StateRefused::Failed),
});

any_of!(no_randomness: NoRandomness {
    Taken => Just(NoRandomness::Taken),
    TooMuch => any::<u64>().prop_map(NoRandomness::TooMuch),
    Machine => text().prop_map(NoRandomness::Machine),
});

fn result<T: Clone + std::fmt::Debug + 'static, E: Clone + std::fmt::Debug + 'static>(
    well: impl Strategy<Value = T> + 'static,
    error: BoxedStrategy<E>,
) -> BoxedStrategy<Result<T, E>> {
    prop_oneof![well.prop_map(Ok), error.prop_map(Err)].boxed()
}

any_of!(said: Said {
    Done => Just(Said::Done),
    Number => any::<u64>().prop_map(Said::Number),
    Yes => any::<bool>().prop_map(Said::Yes),
    Word => text().prop_map(Said::Word),
    Bytes => (body(), any::<bool>()).prop_map(|(bytes, is_end)| Said::Bytes { bytes, is_end }),
    Stat => (text(), any::<u64>(), option::of((any::<u64>(), any::<u32>())))
        .prop_map(|(kind, size, at)| Said::Stat(Stat { kind, links: 1, size, times: [at, None, at] })),
    Entry => option::of((text(), text())).prop_map(Said::Entry),
    Hash => (any::<u64>(), any::<u64>()).prop_map(|(lower, upper)| Said::Hash(lower, upper)),
    Head => (any::<u16>(), vec((text(), text()), 0..4)).prop_map(|(status, headers)| Said::Head { status, headers }),
    Trailers => option::of(vec((text(), text()), 0..4)).prop_map(Said::Trailers),
    NotYet => Just(Said::NotYet),
});

any_of!(reply: Reply {
    Sent => result(Just(()), send_error()).prop_map(Reply::Sent),
    Answer => result(option::of(body()), call_error()).prop_map(Reply::Answer),
    Timer => result(any::<u64>(), send_error()).prop_map(Reply::Timer),
    Cancelled => any::<bool>().prop_map(Reply::Cancelled),
    Child => result(text(), supervision_error()).prop_map(Reply::Child),
    Kept => result(Just(()), state_error()).prop_map(Reply::Kept),
    Value => option::of(body()).prop_map(Reply::Value),
    Number => result(any::<u64>(), state_error()).prop_map(Reply::Number),
    Keys => result((vec(text(), 0..4), option::of(any::<u64>())), state_error()).prop_map(Reply::Keys),
    Text => option::of(text()).prop_map(Reply::Text),
    Pairs => vec((text(), text()), 0..4).prop_map(Reply::Pairs),
    Time => any::<Duration>().prop_map(Reply::Time),
    Nanoseconds => any::<u64>().prop_map(Reply::Nanoseconds),
    BytesDrawn => result(vec(any::<u8>(), 0..20), no_randomness()).prop_map(Reply::BytesDrawn),
    NumberDrawn => result(any::<u64>(), no_randomness()).prop_map(Reply::NumberDrawn),
    Allowed => any::<bool>().prop_map(Reply::Allowed),
    Ready => vec(any::<u32>(), 0..4).prop_map(Reply::Ready),
    Readiness => any::<bool>().prop_map(Reply::Readiness),
    Nothing => Just(Reply::Nothing(())),
    Names => vec(text(), 0..4).prop_map(Reply::Names),
    Said => result(said(), text().boxed()).prop_map(Reply::Said),
    Waits => Just(Reply::Waits),
    Refused => text().prop_map(Reply::Refused),
    Unanswered => Just(Reply::Unanswered),
});

any_of!(level: Level {
    Trace => Just(Level::Trace),
    Debug => Just(Level::Debug),
    Info => Just(Level::Info),
    Warn => Just(Level::Warn),
    Error => Just(Level::Error),
});

any_of!(maker: Maker {
    Duration => Just(Maker::Duration),
    Instant => Just(Maker::Instant),
    InputStream => Just(Maker::InputStream),
    OutputStream => Just(Maker::OutputStream),
    TcpSocket => Just(Maker::TcpSocket),
    UdpSocket => Just(Maker::UdpSocket),
    IncomingDatagrams => Just(Maker::IncomingDatagrams),
    OutgoingDatagrams => Just(Maker::OutgoingDatagrams),
    AddressLookup => Just(Maker::AddressLookup),
    Response => Just(Maker::Response),
    Trailers => Just(Maker::Trailers),
    Process => Just(Maker::Process),
    Watch => Just(Maker::Watch),
    Earlier => Just(Maker::Earlier),
});

fn awaited() -> impl Strategy<Value = Awaited> {
    (maker(), any::<u32>()).prop_map(|(made_by, number)| Awaited { made_by, number })
}

any_of!(look: Look {
    Open => text().prop_map(|how| Look::Open { how }),
    Flags => Just(Look::Flags),
    Type => Just(Look::Type),
    Stat => Just(Look::Stat),
    LinkStat => Just(Look::LinkStat),
    Target => Just(Look::Target),
    Hash => Just(Look::Hash),
    IsSame => text().prop_map(|other| Look::IsSame { other }),
    List => Just(Look::List),
    Entry => Just(Look::Entry),
    Read => (any::<u64>(), any::<u64>()).prop_map(|(from, most)| Look::Read { from, most }),
    Skip => (any::<u64>(), any::<u64>()).prop_map(|(from, most)| Look::Skip { from, most }),
    Room => Just(Look::Room),
    Settle => Just(Look::Settle),
    Response => Just(Look::Response),
    Trailers => Just(Look::Trailers),
    Finish => Just(Look::Finish),
    Answer => any::<u64>().prop_map(|bytes| Look::Answer { bytes }),
});

any_of!(change: Change {
    Open => text().prop_map(|how| Change::Open { how }),
    Write => (option::of(any::<u64>()), body()).prop_map(|(from, bytes)| Change::Write { from, bytes }),
    Replace => body().prop_map(|bytes| Change::Replace { bytes }),
    Resize => any::<u64>().prop_map(|bytes| Change::Resize { bytes }),
    Times => Just(Change::Times),
    MakeFolder => Just(Change::MakeFolder),
    RemoveFolder => Just(Change::RemoveFolder),
    Remove => Just(Change::Remove),
    Move => text().prop_map(|to| Change::Move { to }),
    Link => text().prop_map(|to| Change::Link { to }),
    LinkTo => text().prop_map(|target| Change::LinkTo { target }),
});

any_of!(call: HostCall {
    Send => (text(), option::of(text()), body()).prop_map(|(to, key, body)| HostCall::Send { to, key, body }),
    Call => (text(), option::of(text()), body(), any::<u64>())
        .prop_map(|(to, key, body, timeout_ms)| HostCall::Call { to, key, body, timeout_ms }),
    Invoke => (text(), option::of(text()), body())
        .prop_map(|(to, name, body)| HostCall::Invoke { to, name, function: Arc::new(function()), body }),
    Release => (text(), body())
        .prop_map(|(to, body)| HostCall::Release { to, function: Arc::new(function()), body }),
    Publish => (text(), body()).prop_map(|(topic, body)| HostCall::Publish { topic, body }),
    Subscribe => text().prop_map(|pattern| HostCall::Subscribe { pattern }),
    Unsubscribe => text().prop_map(|pattern| HostCall::Unsubscribe { pattern }),
    SendAfter => (any::<u64>(), body()).prop_map(|(delay_ms, body)| HostCall::SendAfter { delay_ms, body }),
    Cancel => any::<u64>().prop_map(|timer| HostCall::Cancel { timer }),
    SelfAddress => Just(HostCall::SelfAddress),
    Spawn => (text(), text()).prop_map(|(service, name)| HostCall::Spawn { service, name }),
    Stop => text().prop_map(|child| HostCall::Stop { child }),
    Monitor => text().prop_map(|child| HostCall::Monitor { child }),
    Demonitor => text().prop_map(|child| HostCall::Demonitor { child }),
    Link => text().prop_map(|child| HostCall::Link { child }),
    OpenState => text().prop_map(|name| HostCall::OpenState { name }),
    GetState => text().prop_map(|key| HostCall::GetState { key }),
    SetState => (text(), body()).prop_map(|(key, value)| HostCall::SetState { key, value }),
    DeleteState => text().prop_map(|key| HostCall::DeleteState { key }),
    IncrementState => (text(), any::<u64>()).prop_map(|(key, by)| HostCall::IncrementState { key, by }),
    StateKeys => option::of(any::<u64>()).prop_map(|cursor| HostCall::StateKeys { cursor }),
    Config => text().prop_map(|key| HostCall::Config { key }),
    AllConfig => Just(HostCall::AllConfig),
    Log => (level(), text()).prop_map(|(level, line)| HostCall::Log { level, line }),
    WallClock => Just(HostCall::WallClock),
    MonotonicClock => Just(HostCall::MonotonicClock),
    RandomBytes => any::<u64>().prop_map(|count| HostCall::RandomBytes { count }),
    RandomNumber => Just(HostCall::RandomNumber),
    Environment => Just(HostCall::Environment),
    Http => (text(), text(), text(), text())
        .prop_map(|(method, scheme, authority, path)| HostCall::Http { method, scheme, authority, path }),
    Folders => Just(HostCall::Folders),
    Look => (text(), look()).prop_map(|(at, look)| HostCall::Look { at, look }),
    Change => (text(), change()).prop_map(|(at, change)| HostCall::Change { at, change }),
    Unrecorded => text().prop_map(|what| HostCall::Unrecorded { what }),
    Poll => vec(awaited(), 0..4).prop_map(|of| HostCall::Poll { of }),
    Block => awaited().prop_map(|on| HostCall::Block { on }),
    IsReady => awaited().prop_map(|is| HostCall::IsReady { is }),
});

fn is_read_back(reply: &Reply) {
    let written = serde_json::to_string(reply).unwrap();
    assert_eq!(serde_json::from_str::<Reply>(&written).unwrap(), *reply, "{written}");
}

/// What stands on a sheet of a recorder.
fn lines(sheet: Sheet) -> Vec<Line> {
    let aside = sheet.aside.into();
    Leaf { bytes: &sheet.bytes, aside: VecDeque::iter(&aside) }.lines().unwrap()
}

proptest! {
    #[test]
    fn a_reply_is_written_down_and_read_back(reply in reply()) {
        is_read_back(&reply);
    }

    #[test]
    fn a_call_is_written_down_and_read_back(call in call()) {
        let written = serde_json::to_string(&call).unwrap();
        assert_eq!(serde_json::from_str::<HostCall>(&written).unwrap(), call, "{written}");
    }

    #[test]
    fn a_recorder_has_what_was_asked_and_told_in_whichever_order(
        said in vec((call(), reply(), any::<prop::sample::Index>()), 1..5),
    ) {
        let mut sheet = Sheet::default();
        let (mut expected, mut open): (Vec<Line>, Vec<usize>) = (Vec::new(), Vec::new());
        for (asked, told, which) in said {
            sheet.asked(&asked);
            open.push(expected.len());
            expected.push((asked, Reply::Unanswered));
            // One of those that wait is told, or none.
            let which = which.index(open.len() + 1);
            if which < open.len() {
                let line = open.remove(which);
                sheet.told(line, expected.len(), &told);
                expected[line].1 = told;
            }
        }
        assert_eq!(lines(sheet), expected);
    }

    #[test]
    fn so_is_each_crash(crash in crash()) {
        is_read_back(&Reply::Answer(Err(CallError::Crashed(crash))));
    }

    #[test]
    fn so_is_each_reason_why_nothing_was_sent(error in send_error()) {
        is_read_back(&Reply::Child(Err(SupervisionError::NotSent(error))));
    }
}

#[test]
fn for_how_long_it_would_wait_makes_no_difference() {
    let call = |to: &str, timeout_ms| HostCall::Call { to: to.to_owned(), key: None, body: Bytes::new(), timeout_ms };
    assert!(call("a", 1).asks_the_same(&call("a", 2)));
    assert!(!call("a", 1).asks_the_same(&call("b", 1)));
}

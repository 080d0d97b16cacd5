//! Random types of WIT: as text, with random values of each, and changed in one place.

use airssys_wasm::Value;

use crate::random::Random;

/// How deep types lie in each other.
const DEPTH: u64 = 3;

/// A type of values.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are those of WIT")]
pub enum Ty {
    /// One that has a word of its own, such as `u8`.
    Plain(&'static str),
    List(Box<Ty>),
    Option(Box<Ty>),
    Result(Option<Box<Ty>>, Option<Box<Ty>>),
    Tuple(Vec<Ty>),
    Record(Vec<(String, Ty)>),
    Variant(Vec<(String, Option<Ty>)>),
    Enum(Vec<String>),
    Flags(Vec<String>),
}

const PLAIN: [&str; 13] =
    ["bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string"];

fn names(random: &mut Random, most: u64) -> Vec<String> {
    (0..=random.below(most)).map(|number| format!("n{number}")).collect()
}

impl Ty {
    /// A type.
    pub fn any(random: &mut Random) -> Self {
        Self::within(random, DEPTH)
    }

    fn within(random: &mut Random, depth: u64) -> Self {
        if depth == 0 || random.below(4) == 0 {
            return Self::Plain(PLAIN[random.below(PLAIN.len() as u64) as usize]);
        }
        let inner = |random: &mut Random| Self::within(random, depth - 1);
        let boxed = |random: &mut Random| Box::new(Self::within(random, depth - 1));
        let maybe = |random: &mut Random| (random.below(3) > 0).then(|| Box::new(Self::within(random, depth - 1)));
        match random.below(8) {
            0 => Self::List(boxed(random)),
            1 => Self::Option(boxed(random)),
            2 => Self::Result(maybe(random), maybe(random)),
            3 => Self::Tuple((0..=random.below(4)).map(|_| inner(random)).collect()),
            4 => Self::Record(names(random, 5).into_iter().map(|name| (name, inner(random))).collect()),
            5 => Self::Variant(names(random, 5).into_iter().map(|name| (name, maybe(random).map(|ty| *ty))).collect()),
            // Up to where a discriminant takes a second byte, which is rare in what people write.
            6 if random.below(8) == 0 => Self::Enum((0..300).map(|number| format!("n{number}")).collect()),
            6 => Self::Enum(names(random, 9)),
            _ => Self::Flags(names(random, 32)),
        }
    }

    /// How it is written, after the declarations that it needs, which are added to `declared`.
    pub fn written(&self, declared: &mut Vec<String>) -> String {
        let declare = |declared: &mut Vec<String>, what: &str, inside: Vec<String>| {
            let name = format!("t{}", declared.len());
            declared.push(format!("{what} {name} {{ {} }}", inside.join(", ")));
            name
        };
        match self {
            Self::Plain(word) => (*word).to_owned(),
            Self::List(of) => format!("list<{}>", of.written(declared)),
            Self::Option(of) => format!("option<{}>", of.written(declared)),
            Self::Result(ok, error) => {
                let mut of = |ty: &Option<Box<Self>>| ty.as_ref().map_or("_".to_owned(), |ty| ty.written(declared));
                match (of(ok), of(error)) {
                    (ok, error) if ok == "_" && error == "_" => "result".to_owned(),
                    (ok, error) if error == "_" => format!("result<{ok}>"),
                    (ok, error) => format!("result<{ok}, {error}>"),
                }
            }
            Self::Tuple(all) => {
                let all: Vec<String> = all.iter().map(|ty| ty.written(declared)).collect();
                format!("tuple<{}>", all.join(", "))
            }
            Self::Record(fields) => {
                let fields = fields.iter().map(|(name, ty)| format!("{name}: {}", ty.written(declared))).collect();
                declare(declared, "record", fields)
            }
            Self::Variant(cases) => {
                let case = |(name, ty): &(String, Option<Self>)| match ty {
                    Some(ty) => format!("{name}({})", ty.written(declared)),
                    None => name.clone(),
                };
                let cases = cases.iter().map(case).collect();
                declare(declared, "variant", cases)
            }
            Self::Enum(names) => declare(declared, "enum", names.clone()),
            Self::Flags(names) => declare(declared, "flags", names.clone()),
        }
    }

    /// A value of it. There is no NaN among them, since it is equal to nothing.
    pub fn value(&self, random: &mut Random) -> Value {
        let one = |random: &mut Random, from: usize| random.below(from as u64) as usize;
        match self {
            Self::Plain(word) => plain(word, random),
            Self::List(of) => Value::List((0..random.below(5)).map(|_| of.value(random)).collect()),
            Self::Option(of) => Value::Option((random.below(2) == 0).then(|| Box::new(of.value(random)))),
            Self::Result(ok, error) => {
                let mut of = |ty: &Option<Box<Self>>| ty.as_ref().map(|ty| Box::new(ty.value(random)));
                let (ok, error) = (of(ok), of(error));
                Value::Result(if random.below(2) == 0 { Ok(ok) } else { Err(error) })
            }
            Self::Tuple(all) => Value::Tuple(all.iter().map(|ty| ty.value(random)).collect()),
            Self::Record(fields) => {
                Value::Record(fields.iter().map(|(name, ty)| (name.clone(), ty.value(random))).collect())
            }
            Self::Variant(cases) => {
                let (name, ty) = &cases[one(random, cases.len())];
                Value::Variant(name.clone(), ty.as_ref().map(|ty| Box::new(ty.value(random))))
            }
            Self::Enum(names) => Value::Enum(names[one(random, names.len())].clone()),
            Self::Flags(names) => Value::Flags(names.iter().filter(|_| random.below(2) == 0).cloned().collect()),
        }
    }

    /// Another type, which differs in one place.
    #[must_use]
    pub fn changed(&self, random: &mut Random) -> Self {
        let mut other = self.clone();
        other.change(random);
        other
    }

    fn change(&mut self, random: &mut Random) {
        // Within, or here.
        let deeper = random.below(2) == 0;
        match self {
            Self::List(of) | Self::Option(of) if deeper => of.change(random),
            Self::Result(Some(of), _) | Self::Result(_, Some(of)) if deeper => of.change(random),
            Self::Tuple(all) => match random.below(3) {
                0 => all.push(Self::Plain("u8")),
                1 if all.len() > 1 => drop(all.pop()),
                _ => all[0].change(random),
            },
            Self::Record(fields) => match random.below(4) {
                0 => fields.push(("more".to_owned(), Self::Plain("u8"))),
                1 if fields.len() > 1 => drop(fields.pop()),
                2 => fields[0].0 = "renamed".to_owned(),
                _ => fields[0].1.change(random),
            },
            Self::Variant(cases) => match random.below(4) {
                0 => cases.push(("more".to_owned(), None)),
                1 if cases.len() > 1 => drop(cases.pop()),
                2 => cases[0].0 = "renamed".to_owned(),
                _ => cases[0].1 = if cases[0].1.is_some() { None } else { Some(Self::Plain("u8")) },
            },
            Self::Enum(names) | Self::Flags(names) => match random.below(3) {
                0 if names.len() < 32 => names.push("more".to_owned()),
                1 if names.len() > 1 => drop(names.pop()),
                _ => names[0] = "renamed".to_owned(),
            },
            Self::Plain(word) => *word = if *word == "u16" { "s16" } else { "u16" },
            _ => *self = Self::Plain("u16"),
        }
    }
}

fn plain(word: &str, random: &mut Random) -> Value {
    const TEXTS: [&str; 5] = ["", "a", "für dich", "\0\u{10ffff}", "nan \"quoted\" \\"];
    let bits = random.below(u64::MAX);
    // Small and large ones, and those at the edges.
    let bits = [bits, bits % 3, u64::MAX, 1 << 63, bits >> 40][random.below(5) as usize];
    match word {
        "bool" => Value::Bool(bits.is_multiple_of(2)),
        "s8" => Value::S8(bits as i8),
        "u8" => Value::U8(bits as u8),
        "s16" => Value::S16(bits as i16),
        "u16" => Value::U16(bits as u16),
        "s32" => Value::S32(bits as i32),
        "u32" => Value::U32(bits as u32),
        "s64" => Value::S64(bits as i64),
        "u64" => Value::U64(bits),
        "f32" => Value::Float32(Some(f32::from_bits(bits as u32)).filter(|float| !float.is_nan()).unwrap_or(-0.0)),
        "f64" => Value::Float64(Some(f64::from_bits(bits)).filter(|float| !float.is_nan()).unwrap_or(f64::INFINITY)),
        "char" => Value::Char(char::from_u32(bits as u32 % 0x11_0000).unwrap_or('\u{d7ff}')),
        _ => Value::String(TEXTS[random.below(TEXTS.len() as u64) as usize].to_owned()),
    }
}

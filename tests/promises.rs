//! What airssys promises, a module a promise. They are one program, since to link the engine takes longer than to run
//! most of them.

mod apply;
mod asking;
mod book;
mod capabilities;
mod children;
mod cli;
mod crash;
mod cut_off;
mod damage;
mod deploy;
mod direct;
mod dispatch;
mod doors;
mod durable;
mod events;
mod folders;
mod forget;
mod gates;
mod handover;
mod held_back;
mod keyed_schema;
mod no_deadlock;
mod quota;
mod registry;
mod settled;
mod shadow;
mod shop;
mod sick_key;
mod sleep;
mod stopped;
mod strategies;
mod supervision;
mod takeover;
mod tiers;
mod turns;

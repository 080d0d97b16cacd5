//! What is damaged of durable state, for people.

use airssys_wasm::ServiceStatus;

use super::printable;

/// What is damaged of each service's state, and what to do about it.
pub(crate) fn damage(services: &[ServiceStatus]) -> Vec<String> {
    services.iter().filter(|of| !of.damage.is_empty()).map(damage_of).collect()
}

fn damage_of(of: &ServiceStatus) -> String {
    const TOLD: usize = 5;
    let told = of.damage.iter().take(TOLD);
    let told = told.map(|says| format!("{}: {}", of.service, printable(says)));
    let mut text = told.collect::<Vec<_>>().join("\n");
    if of.damage.len() > TOLD {
        text.push_str(&format!("\n{}: and {} more", of.service, of.damage.len() - TOLD));
    }
    text.push_str(&format!(
        "\nhint: `airssys state forget {0}`, with /KEY where it has keys, lets it begin anew; with the host stopped `airssys state verify` names all and copies out what is left, and `airssys state load {0}` puts a dump back",
        of.service
    ));
    text
}

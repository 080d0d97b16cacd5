#!/usr/bin/env rego-judge
# The rules of a house for its meshes, in Rego. Built with `cargo build --release` in `judge`, and the program in a
# folder of PATH, this file is a judge by itself:
#
#   airssys run --judge ./house.rego
package airssys

# How much memory one instance may have.
most_memory := "256MiB"

# Only these may start programs.
runners := {"build", "thumbnails"}

deny contains {"message": message, "rule": "house.programs"} if {
	some service in input.topology.services
	count(service.grants.processes) > 0
	not service.name in runners
	message := sprintf("%v may not start programs", [service.name])
}

deny contains {"message": message, "rule": "house.sockets"} if {
	some service in input.topology.services
	some to in service.grants.sockets
	startswith(to, "*")
	message := sprintf("%v may connect to %v; say to whom", [service.name, to])
}

deny contains {"message": message, "rule": "house.memory"} if {
	some service in input.topology.services
	units.parse_bytes(service.limits.memory) > units.parse_bytes(most_memory)
	message := sprintf("%v may have %v of memory, and %v is the most", [service.name, service.limits.memory, most_memory])
}

# No release goes back, but by a rollback, which nobody is asked about.
deny contains {"message": message, "rule": "house.forward"} if {
	input.operation == "deploy"
	semver.compare(input.plan.to.version, input.plan.from.version) < 0
	message := sprintf("%v would go back from %v to %v", [input.plan.service, input.plan.from.version, input.plan.to.version])
}

// Nothing but a library of npm's behind an interface. It has never heard of this host.

import semver from "semver";

export const versions = {
  parse(version) {
    const parsed = semver.parse(version);
    if (parsed === null) throw `${version} is no version`;
    const { major, minor, patch, prerelease } = parsed;
    return { major, minor, patch, prerelease: prerelease.map(String) };
  },
  satisfies: (version, range) => semver.satisfies(version, range),
  best: (all, range) => semver.maxSatisfying(all, range) ?? undefined,
  sorted: (all) => semver.sort(all),
};

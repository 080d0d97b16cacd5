// The part of WASI that the guest imports, as in `wit`.

declare module "wasi:cli/environment@0.2.12" {
  export function getEnvironment(): [string, string][];
}

declare module "wasi:cli/exit@0.2.12" {
  export function exitWithCode(status: number): void;
}

declare module "wasi:filesystem/preopens@0.2.12" {
  interface Descriptor {
    read(length: bigint, offset: bigint): [Uint8Array, boolean];
    openAt(how: object, path: string, create: object, flags: { read: boolean }): Descriptor;
  }
  export function getDirectories(): [Descriptor, string][];
}

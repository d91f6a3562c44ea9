declare global {
  interface Window {
    __HAZELMART__: { apiBase: string; release: string; country: string };
  }
}

declare module "*.svg" {
  const url: string;
  export default url;
}

export {};

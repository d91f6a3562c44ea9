type Callback<A extends unknown[]> = (...args: A) => void;

/** Waits until calls have stopped coming for `waitMs`, then makes the last one. */
export function debounce<A extends unknown[]>(callback: Callback<A>, waitMs: number): Callback<A> & { cancel(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const settled = (...args: A): void => {
    clearTimeout(timer);
    timer = setTimeout(() => callback(...args), waitMs);
  };
  return Object.assign(settled, { cancel: () => clearTimeout(timer) });
}

/** Lets at most one call through per `intervalMs` and drops the others. */
export function throttle<A extends unknown[]>(callback: Callback<A>, intervalMs: number): Callback<A> {
  let openAt = 0;
  return (...args: A): void => {
    const now = Date.now();
    if (now >= openAt) {
      openAt = now + intervalMs;
      callback(...args);
    }
  };
}

export function abortable<T>(work: (signal: AbortSignal) => Promise<T>): () => Promise<T> {
  let controller: AbortController | undefined;
  return () => {
    controller?.abort();
    controller = new AbortController();
    return work(controller.signal);
  };
}

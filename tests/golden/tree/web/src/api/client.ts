import type { ApiProblem, ArticlePage, OrderDraft, OrderReceipt } from "./types";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: ApiProblem,
  ) {
    super(problem.title);
  }

  get isTransient(): boolean {
    return this.status === 429 || this.status >= 500;
  }
}

export interface RetryOptions {
  attempts: number;
  firstDelayMs: number;
}

/** Runs a request again when the server was busy, waiting twice as long each time. */
export async function retryWithBackoff<T>(
  request: () => Promise<T>,
  { attempts, firstDelayMs }: RetryOptions = { attempts: 4, firstDelayMs: 200 },
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await request();
    } catch (error) {
      const worthAnother = error instanceof ApiError ? error.isTransient : error instanceof TypeError;
      if (!worthAnother || attempt >= attempts) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, firstDelayMs * 2 ** (attempt - 1)));
    }
  }
}

export class ApiClient {
  private accessToken: string | null = null;
  private renewal: Promise<void> | null = null;

  constructor(private readonly baseUrl: string) {}

  listArticles(cursor?: string): Promise<ArticlePage> {
    const suffix = cursor ? `?cursor=${encodeURIComponent(cursor)}` : "";
    return retryWithBackoff(() => this.send<ArticlePage>("GET", `/articles${suffix}`));
  }

  async *everyArticle(): AsyncGenerator<ArticlePage["items"][number]> {
    let cursor: string | undefined;
    do {
      const page = await this.listArticles(cursor);
      yield* page.items;
      cursor = page.nextCursor;
    } while (cursor);
  }

  submitOrder(draft: OrderDraft): Promise<OrderReceipt> {
    const key = draft.idempotencyKey ?? crypto.randomUUID();
    return retryWithBackoff(() => this.send<OrderReceipt>("POST", "/orders", draft, { "Idempotency-Key": key }));
  }

  private async send<T>(method: string, path: string, body?: unknown, extra: Record<string, string> = {}): Promise<T> {
    const response = await this.attempt(method, path, body, extra);
    if (response.status === 401) {
      await this.renewOnce();
      return this.unwrap<T>(await this.attempt(method, path, body, extra));
    }
    return this.unwrap<T>(response);
  }

  private attempt(method: string, path: string, body: unknown, extra: Record<string, string>): Promise<Response> {
    const headers: Record<string, string> = { "Content-Type": "application/json", ...extra };
    if (this.accessToken) {
      headers.Authorization = `Bearer ${this.accessToken}`;
    }
    return fetch(this.baseUrl + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  }

  /** Many requests may find the session expired at the same time; they share one renewal. */
  private renewOnce(): Promise<void> {
    this.renewal ??= fetch(`${this.baseUrl}/session/refresh`, { method: "POST", credentials: "include" })
      .then((response) => response.json())
      .then((answer: { accessToken: string }) => {
        this.accessToken = answer.accessToken;
      })
      .finally(() => {
        this.renewal = null;
      });
    return this.renewal;
  }

  private async unwrap<T>(response: Response): Promise<T> {
    if (!response.ok) {
      throw new ApiError(response.status, (await response.json()) as ApiProblem);
    }
    return (await response.json()) as T;
  }
}

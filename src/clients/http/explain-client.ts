/**
 * `explain` of an HTTP client: the layers a call passes, with their parameters and live state.
 *
 *     console.log(explainText(client))
 */
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import type { ClientCore } from '../../runtime/client.ts'
import {
  type Explanation,
  explain as explainCore,
  explainText as explainCoreText,
} from '../../runtime/stack/explain.ts'
import { HttpClient } from './http-client.ts'

type Explained = HttpClient | ClientCore<HttpRequest, HttpResponse>

export function explain(client: Explained): Explanation {
  return explainCore(coreOf(client))
}

/** As a tree of text; `rules` adds why each layer stands where it does. */
export function explainText(client: Explained, options?: { rules?: boolean }): string {
  return explainCoreText(coreOf(client), options)
}

function coreOf(client: Explained): ClientCore<HttpRequest, HttpResponse> {
  return client instanceof HttpClient ? client.core : client
}

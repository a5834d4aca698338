/** What a worker answers to a task: a result, a mistake of the user's (a broken file), or a bug of ours. */
export type Answer<Result> =
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'problem'; readonly message: string; readonly next: string | undefined }
  | { readonly kind: 'bug'; readonly message: string; readonly stack: string | undefined };

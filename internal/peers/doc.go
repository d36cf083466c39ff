// Package peers does the job of a reconciliation as others would, against the
// in-memory services of internal/bench, and compares: the table "peers" of
// docs/performance.md.
//
//   - [bench.Guide] is ECOSIRE's guide, step by step.
//   - [bench.Script] knows the services' batches, and writes everything unread.
//   - [Team] is what a team writes that looks before it writes, with a client for
//     HTTP that retries.
//   - [Syncer] is what a host of this module writes.
//
// Clients that are made for one service, such as go-shopify, are not among them.
//
// It is a module of its own, and never released, so that nobody else has what it
// requires.
package peers

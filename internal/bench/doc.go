// Package bench measures what keeping stock in step costs, at the real quotas:
// the numbers of docs/performance.md.
//
// # What is measured
//
// Most of the time goes by waiting for quotas and servers, not by computing.
// So whole runs take place in virtual time (testing/synctest) against the
// in-memory services, each of which grants and takes what the real one does:
// ECOSIRE 60 requests a minute, Shopify the points of its plan Standard, and a
// WooCommerce shop the time that a small server was measured to take. Those
// are tests that print their tables. What our own code costs is measured in
// real time by benchmarks against services that answer at once.
//
// # How much of it runs
//
// An ordinary go test asserts requests, ratios and delays in virtual time, so that
// a change that spends more fails. STOCKSYNC_BENCH=short makes the tables, with
// fewer sizes and days, and STOCKSYNC_BENCH=full makes all of them. With the flag
// -update they are written into docs/performance.md, from which the command charts
// draws.
//
// # The baseline
//
// [Guide] is the way of ECOSIRE's Inventory Sync Guide, step by step, as Go, and
// [Script] one that knows the services' batches. They exist to be compared with, not
// to be used: see internal/peers.
package bench

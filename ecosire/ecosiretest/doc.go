// Package ecosiretest provides an ECOSIRE in memory, to test a service that
// uses package ecosire, as net/http/httptest does for HTTP.
//
// # What it is
//
// A [Server] speaks the documented API: products with stock, stock by
// location, locations, moves, transfers, adjustments and orders; pages,
// errors, keys, and 60 requests a minute with the headers that tell of them.
// Where the documentation is silent it does what package ecosire assumes, and
// so proves nothing about it; [Config] can make it do otherwise. [Server.Break]
// and [Server.Refuse] bring in dirt.
//
// # How to reach it
//
// It is an [net/http.RoundTripper], which needs no socket and so works in a
// testing/synctest bubble, and an [net/http.Handler] for an
// [net/http/httptest.Server]. Both come from the embedded [channeltest.Wire],
// which also counts requests and injects faults. The API is below the path
// /api of any host.
package ecosiretest

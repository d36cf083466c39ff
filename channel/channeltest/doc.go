// Package channeltest helps to test code that uses or implements package
// channel. It needs no test framework.
//
// # Channels
//
// [Memory] is a channel in memory, and the reference for what a channel must
// do. [Intercept] wraps a channel to make one thing go wrong.
//
// # The network
//
// [Wire] stands between an HTTP client and an in-memory server: it carries
// requests without a socket, counts them, and injects what networks and
// services do on bad days, the answer that is lost after the work was done
// included. The fakes of this module are built on it.
package channeltest

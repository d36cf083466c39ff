// Package channeltest helps to test code that uses or implements package
// channel. It needs nothing but the standard library.
//
// # Conformance
//
// [TestChannel] checks that a channel does what package channel asks of it. It
// needs a function that makes a service with certain items and the channel to
// it, and what else there is to look at and to break:
//
//	func TestConformance(t *testing.T) {
//		channeltest.TestChannel(t, func(t *testing.T, levels []channel.Level) channeltest.Subject {
//			shop := newFakeShop(levels)
//			return channeltest.Subject{Channel: myshop.New(shop.Client()), Shown: shop.Quantity, Wire: shop.Wire}
//		})
//	}
//
// Each rule is a subtest, so that
//
//	go test -run Conformance -v ./...
//
// lists what a channel has passed, and a failure says what happened, what the
// rule is, and what to do. [TestChannelInBubble] is the same for a channel that
// waits, and takes no time; [TestHTTPChannel] adds the bad days of a network,
// and of a service that answers too little, too much or nonsense. What no kit can
// check is listed in docs/adapters.md.
// docs/adapters.md writes a channel from an empty file until it passes.
//
// # Channels
//
// [Memory] is a channel in memory, and the reference for what a channel must
// do; [Lagging] is one that takes time to show what it accepted. [Intercept] wraps a channel to make one thing go wrong.
//
// # The network
//
// [Wire] stands between an HTTP client and an in-memory server: it carries
// requests without a socket, counts them, and injects what networks and
// services do on bad days, the answer that is lost after the work was done
// included; [Hostile] has a list of these. The fakes of this module are built
// on it.
package channeltest

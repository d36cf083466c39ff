// Package month has a test only: the first month of a merchant in production, from
// the week in which nothing is written to the one in which everything is, in a few
// seconds. docs/going-live.md tells the same story to people.
package month

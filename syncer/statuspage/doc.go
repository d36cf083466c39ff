// Package statuspage is a web page that says how a [syncer.Syncer] is: is it
// safe, what is down, what is held, what waits. It is an [http.Handler] to be
// mounted behind the host's own login:
//
//	mux.Handle("/status/", login(statuspage.Handler(s, statuspage.Config{Actor: whoIsLoggedIn})))
//
// It shows the channels with their delays, what waits for them and what is left
// of their quotas; the replicas and which one leads; the last, the present and
// the next reconciliation; what guards hold, line by line; alarms and pins; the
// products that were given up, by reason; and it explains any product's quantity
// ([syncer.Syncer.Explain]). What happened comes from the journal, so set
// [syncer.Config].Journal.
//
// # Who may do what
//
// Whoever reaches the handler sees everything on it: products, quantities, and
// the errors of services. The page knows no passwords. Without [Config].Actor it
// is read-only. With it, whoever it names may approve what a guard holds, and
// pause and resume channels, under that name. An approval carries the hash of the
// lines that were on the page, so it covers these and no others, whichever
// replica answers. Requests from other sites are refused
// ([http.CrossOriginProtection]); that is no authorization, which is Actor's.
//
// # What it is made of
//
// Plain pages, rendered here: they work without JavaScript, which only refreshes
// them. A strict Content-Security-Policy allows nothing inline and nothing from
// elsewhere. All links are relative, so any path will do, with or without
// [http.StripPrefix], if it ends in a slash. A reverse proxy must keep the host's
// name, or requests look as if they came from another site.
//
// Looking costs the services nothing: the page asks the queue, and answers all
// who look from what it knew two seconds ago. Only a search reads a product at the
// source and on the channels, two at a time.
package statuspage

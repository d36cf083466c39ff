package squaretest

import "net/http"

const merchant = "MSELLER"

type location struct{ id, status string }

func (l *location) object() answer {
	return answer{
		"id": l.id, "name": "Location " + l.id, "status": l.status, "merchant_id": merchant,
		"timezone": "Etc/UTC", "country": "US", "currency": "USD", "type": "PHYSICAL",
	}
}

// AddLocation adds a location, ACTIVE or INACTIVE, or changes the status of
// one.
func (s *Server) AddLocation(id, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.locate(id); l != nil {
		l.status = status
		return
	}
	s.locations = append(s.locations, &location{id, status})
}

// locate returns a location, or nil.
func (s *Server) locate(id string) *location {
	for _, l := range s.locations {
		if l.id == id {
			return l
		}
	}
	return nil
}

func (s *Server) listLocations(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]answer, len(s.locations))
	for i, l := range s.locations {
		all[i] = l.object()
	}
	reply(w, http.StatusOK, answer{"locations": all})
}

func (s *Server) location(w http.ResponseWriter, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == "main" {
		id = s.cfg.LocationID
	}
	l := s.locate(id)
	if l == nil {
		refuse(w, invalid("NOT_FOUND", "location_id", "Merchant does not have a location with ID %s.", id))
		return
	}
	reply(w, http.StatusOK, answer{"location": l.object()})
}

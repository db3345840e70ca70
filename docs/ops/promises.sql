-- The promises, asked of the rows: behind a restore or a failover each count must be 0.
SELECT
  (SELECT count(*) FROM (
    SELECT FROM cinema_bookingseat WHERE taken GROUP BY show_id, seat_number HAVING count(*) > 1
  ) AS twice) AS seats_sold_twice,
  (SELECT count(*) FROM cinema_booking AS b WHERE status = 'booked' AND NOT EXISTS (
    SELECT FROM cinema_bookingseat AS s WHERE s.booking_id = b.id AND s.taken
  )) AS booked_without_seats,
  (SELECT count(*) FROM cinema_bookingseat AS s JOIN cinema_booking AS b ON b.id = s.booking_id
    WHERE s.taken AND b.status IN ('cancelled', 'expired')) AS seats_kept_by_ended,
  (SELECT count(*) FROM cinema_bookingseat AS s JOIN cinema_booking AS b ON b.id = s.booking_id
    WHERE s.show_id <> b.show_id) AS seats_of_another_show,
  (SELECT count(*) FROM cinema_bookingseat AS s JOIN cinema_show AS w ON w.id = s.show_id
    WHERE s.taken AND s.seat_number > w.total_seats) AS seats_the_hall_has_not,
  (SELECT count(*) FROM (
    SELECT FROM cinema_booking WHERE holding GROUP BY show_id, user_id HAVING count(*) > 1
  ) AS twice) AS second_holds,
  (SELECT count(*) FROM cinema_booking AS b LEFT JOIN LATERAL (
    SELECT kind FROM cinema_bookingevent WHERE booking_id = b.id ORDER BY id DESC LIMIT 1
  ) AS last ON true
    WHERE last.kind IS DISTINCT FROM CASE b.status WHEN 'pending' THEN 'held' ELSE b.status END) AS events_that_differ;

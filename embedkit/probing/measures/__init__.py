"""The numbers of judged scores, their intervals and their differences; pure functions of arrays."""

"""Importing models whose dims are bounded: storage of full capacity, and masks where what lies beyond would count."""

echo 1 > "with blank"
echo 2 > ./-dash
echo 3 > ./--dashes
echo 4 > 'ünïcødé'
echo 5 > "new
line"
echo 6 > 'back\slash'
echo 7 > 'star*'
echo 8 > '$dollar'
echo 9 > "it's \"quoted\""
printf 'latin\n' > "$(printf 'l\344tin')"
echo 10 > uni-plain

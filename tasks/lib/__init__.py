"""Reading, caching and checking data, for tasks."""

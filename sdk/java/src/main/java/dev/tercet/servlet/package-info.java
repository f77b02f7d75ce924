/** Participants in a Jakarta servlet container, and under Spring MVC. It needs {@code jakarta.servlet-api}. */
package dev.tercet.servlet;

package example;

import java.time.Duration;
import java.util.List;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.access.prepost.PreAuthorize;
import org.springframework.security.config.annotation.method.configuration.EnableMethodSecurity;
import org.springframework.security.core.Authentication;
import org.springframework.security.oauth2.core.OAuth2TokenValidator;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtTimestampValidator;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Serves orders to callers with an access token. Spring Boot requires a valid token for every path; the properties say how it verifies. */
@SpringBootApplication
@EnableMethodSecurity
public class Server {
    record Orders(String subject, List<String> orders) {}

    @RestController
    static class OrderController {
        @GetMapping("/orders")
        @PreAuthorize("hasAuthority('SCOPE_orders.read')")
        Orders list(Authentication caller) {
            return new Orders(caller.getName(), List.of("book", "lamp"));
        }
    }

    /** Rejects a token from its expiry on. The validator of Spring Security allows 60 more seconds. */
    @Bean
    OAuth2TokenValidator<Jwt> expiry() {
        return new JwtTimestampValidator(Duration.ZERO);
    }

    public static void main(String[] arguments) {
        SpringApplication.run(Server.class, arguments);
    }
}
